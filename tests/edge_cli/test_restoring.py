"""The procedure of docs/sync.md, "Backup and restore", with real processes, sockets and mutual TLS."""

import base64
import json
import os
import subprocess
import sys
import time

import httpx
import pytest
from rich.console import Console

from fleet.processes import Fleet, PopSpec
from fleet.project import SHOP, prepare

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]  # the first run builds the components

SAME_SITE = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
PATIENCE_S = 120.0  # many times what it takes; a loaded machine is no failure
CATEGORIES = ["contextual", "behavioral", "experimental"]


@pytest.fixture
def fleet(tmp_path):
    """One control plane, two POPs."""
    stage = prepare(tmp_path / "data", tmp_path / "components", Console(quiet=True))
    specs = [PopSpec("frankfurt-1", "EU"), PopSpec("tokyo-1", "JP")]
    with Fleet(stage.data, specs, site=SHOP / "site", components=stage.components) as running:
        yield running


class Visitor:
    """A browser without JavaScript: it keeps its cookies, whichever POP it asks."""

    def __init__(self, fleet):
        self.fleet, self.cookies = fleet, {}

    def ask(self, method, pop, path, **body):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**SAME_SITE, **({"cookie": cookie} if cookie else {})}
        content = json.dumps(body).encode() if method != "GET" else None
        answer = httpx.request(method, self.fleet.url(pop) + path, headers=headers, content=content, timeout=120)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return answer

    def yes(self, pop, *categories):
        answer = self.ask("POST", pop, "/v1/consent", grant=list(categories))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def no(self, pop, *categories):
        answer = self.ask("DELETE", pop, "/v1/consent", categories=list(categories))
        assert answer.status_code in (200, 202), answer.text

    def choices(self, pop):
        answer = self.ask("POST", pop, "/v1/consent/refresh")
        return answer.json().get("choices") if answer.status_code == 200 else answer.status_code

    @property
    def sub(self):
        token = next(value for name, value in self.cookies.items() if name.endswith("consent-token"))
        return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["sub"]


def command(fleet, *arguments):
    """`edge …` as an operator types it."""
    words = [sys.executable, "-P", "-m", "edge_cli.edge", *map(str, arguments), "--data", str(fleet.data), "--json"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def done(process):
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    return json.loads(out)


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def ready(fleet, pop):
    return httpx.get(fleet.admin_url(pop) + "/readyz", timeout=120).json()


def test_a_lost_control_plane_is_restored(fleet, tmp_path):
    """Backup, changes at two POPs, the store is lost, restore: every no and every yes is there, and POPs go on."""
    before, after, erased = Visitor(fleet), Visitor(fleet), Visitor(fleet)
    before.yes("frankfurt-1", *CATEGORIES)
    erased.yes("tokyo-1", "contextual")
    made = done(command(fleet, "control-plane", "backup", tmp_path / "monday"))
    before.no("tokyo-1", "behavioral")
    after.yes("tokyo-1", "contextual", "behavioral")
    after.no("frankfurt-1", "contextual")
    operator = ("--control-plane", fleet.mesh_url, "--as", "ann")
    purged = done(command(fleet, "purge", "--session", erased.sub, *operator))
    head = purged.get("seq") or purged["entry"]["seq"]
    assert until(lambda: all(ready(fleet, pop)["revocation_seq"] >= head for pop in fleet.pops))

    fleet.control_plane.kill()
    for path in (fleet.data / "control-plane").glob("consent.db*"):
        path.unlink()
    ports = (
        "--public-port",
        fleet.control_plane_url.rpartition(":")[2],
        "--mesh-port",
        fleet.mesh_url.rpartition(":")[2],
    )
    restored = done(command(fleet, "control-plane", "restore", tmp_path / "monday", *ports, "--approver", "ann"))
    assert restored["origin"] != made["origin"]
    assert restored["pops"] == sorted(fleet.pops)
    assert restored["left_out"] == {}
    fleet.control_plane.start()
    fleet.control_plane.wait_ready()

    assert until(lambda: all(ready(fleet, pop)["in_sync"] for pop in fleet.pops))
    assert [ready(fleet, pop)["alarm"] for pop in fleet.pops] == [None, None]
    assert until(lambda: before.choices("frankfurt-1") == ["contextual", "experimental"])
    assert after.choices("tokyo-1") == ["behavioral"]
    assert erased.choices("frankfurt-1") != ["contextual"]


def test_a_database_that_is_only_copied_back_is_noticed(fleet, tmp_path):
    """The control plane stops issuing and says why; the POP says so too, and stays closed when it is started again."""
    visitor = Visitor(fleet)
    visitor.yes("frankfurt-1", *CATEGORIES)
    done(command(fleet, "control-plane", "backup", tmp_path / "monday"))
    visitor.no("frankfurt-1", "behavioral")
    assert until(lambda: ready(fleet, "frankfurt-1")["revocation_seq"] >= 2)
    fleet.control_plane.kill()
    store = fleet.data / "control-plane" / "consent.db"
    for path in store.parent.glob("consent.db*"):
        path.unlink()
    store.write_bytes((tmp_path / "monday" / "consent.db").read_bytes())
    fleet.control_plane.start()
    fleet.control_plane.wait_ready()

    assert until(lambda: ready(fleet, "frankfurt-1")["alarm"] in ("log-rewind", "log-fork"))
    assert until(
        lambda: httpx.get(f"{fleet.control_plane_url}/healthz", timeout=120).json() == {"status": "log-rewound"}
    )
    assert visitor.choices("frankfurt-1") != CATEGORIES
    state = httpx.get(f"{fleet.control_plane_url}/v1/edge-state", timeout=120)
    assert (state.status_code, state.headers["consent-edge-code"]) == (503, "log-rewound")

    accepted = done(command(fleet, "pop", "accept-log", "frankfurt-1"))
    assert accepted["alarm"] in ("log-rewind", "log-fork")
