"""A control plane whose database was copied back, and logs that take another's place, by the shipped code of both."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.log_head import Approval, Succession, encode_head, open_succession, sign_succession
from consent_core.formats.revocation import START, Point
from control_plane.app import ControlPlane, create_app
from control_plane.log import standing
from control_plane.settings import Settings
from control_plane.store.schema import log_head, log_successions
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync import Sync, SyncConfig
from tests.runtime_host.sync.toy_plane import World


@dataclass
class Site:
    """One control plane that can be copied back, and one POP."""

    clock: ManualClock
    plane: ControlPlane
    store: PopStore
    sync: Sync

    async def app(self, scope: object, receive: object, send: object) -> None:
        await self.plane.mesh_app(scope, receive, send)  # type: ignore[arg-type]

    def get(self, path: str, **headers: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://plane") as client:
                return await client.get(path, headers=headers)

        return asyncio.run(ask())

    def revoke(self, *models: str) -> None:
        for model in models:
            with self.plane.log.writing() as writing:
                writing.append("model", model)

    def back_up(self) -> Path:
        backup = self.plane.settings.data / "backup.db"
        with self.plane.database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(self.plane.settings.home / "consent.db", backup)
        return backup

    def copy_back(self, backup: Path) -> None:
        """As an operator in a hurry does."""
        self.plane.close()
        for path in self.plane.settings.home.glob("consent.db*"):
            path.unlink()
        shutil.copy(backup, self.plane.settings.home / "consent.db")
        self.plane = create_app(self.plane.settings)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with keys and a first policy: publishing takes longest."""
    data = tmp_path_factory.mktemp("published")
    create_app(Settings(data=data, clock=ManualClock())).close()
    return data


@pytest.fixture
def site(published: Path, tmp_path: Path) -> Iterator[Site]:
    clock = ManualClock()
    data = shutil.copytree(published, tmp_path / "data")
    plane = create_app(Settings(data=data, clock=clock))
    with PopStore(tmp_path / "pop.db", clock) as store:
        made = Site(clock, plane, store, None)  # type: ignore[arg-type]
        client = httpx.AsyncClient(transport=httpx.ASGITransport(made.app), base_url="http://plane")  # type: ignore[arg-type]
        made.sync = Sync(SyncConfig("tokyo-1", tmp_path, push=False), store, plane.keys.trust_file(), client, clock)
        made.revoke("model-1", "model-2")
        asyncio.run(made.sync.poll())
        yield made
        made.plane.close()


@pytest.mark.parametrize("beyond", [0, 1, 2, 3, 5])
def test_a_control_plane_learns_that_its_database_was_copied_back(site: Site, beyond: int) -> None:
    """From the head that a POP shows, at whatever number the old database has come by then."""
    backup = site.back_up()
    site.revoke("model-3", "model-4")
    asyncio.run(site.sync.poll())
    site.copy_back(backup)
    site.revoke(*(f"other-{number}" for number in range(beyond)))

    with pytest.raises(Untrusted) as refusal:
        asyncio.run(site.sync.poll())
    assert refusal.value.code in {"log-rewind", "log-fork"}
    assert not site.sync.trust_state.in_sync()
    assert site.get("/healthz").json() == {"status": "log-rewound"}
    assert site.get("/v1/edge-state").status_code == 503
    for refused in (site.plane.log.require_serving, lambda: site.revoke("model-9")):
        with pytest.raises(Unavailable) as unavailable:
            refused()
        assert unavailable.value.code == "log-rewound"


def test_it_stays_so_over_a_restart_and_says_so_in_every_poll(site: Site) -> None:
    """Also to POPs that could not see it by themselves: they serve the default within the minute."""
    backup = site.back_up()
    site.revoke("model-3")
    asyncio.run(site.sync.poll())
    site.copy_back(backup)
    with pytest.raises(Untrusted):
        asyncio.run(site.sync.poll())
    site.plane.close()
    site.plane = create_app(site.plane.settings)

    answer = site.get("/v1/revocations?after=0&nonce=n")
    assert (answer.status_code, answer.headers["consent-edge-code"]) == (503, "log-rewound")


@pytest.mark.parametrize("head", ["rubbish", "other-key", "unsigned", "higher"])
def test_nobody_stops_a_control_plane_by_a_made_up_head(site: Site, head: str) -> None:
    """Only what the log's own key signed counts: one POP that lies is no outage."""
    shown = site.store.log.position.shown
    assert shown is not None
    made_up = {
        "rubbish": b"\xff{",
        "other-key": shown.replace(b'"kid":"log-', b'"kid":"token-'),
        "unsigned": shown.replace(b'"head":3', b'"head":9'),
        "higher": shown.replace(b'"chain":"sha256:', b'"chain":"sha256:00')[:-3] + b'"}',
    }[head]
    answer = site.get("/v1/revocations?after=3&nonce=n", **{"log-head": encode_head(made_up)})

    assert answer.status_code == 200
    assert site.plane.log.standing() == standing.SERVING


def test_a_head_that_is_not_base64url_is_a_bad_request(site: Site) -> None:
    """Like every other part of a request that is not of the agreed form."""
    assert site.get("/v1/revocations", **{"log-head": "%%%"}).status_code == 400


def test_the_head_of_a_log_before_this_one_is_no_rewind(site: Site) -> None:
    """After a restore POPs still hold the old log's head, for as long as they have not heard of the new one."""
    rename(site)
    shown = site.store.log.position.shown
    assert shown is not None
    answer = site.get("/v1/revocations?after=0&nonce=n", **{"log-head": encode_head(shown)})

    assert (answer.status_code, site.plane.log.standing()) == (200, standing.SERVING)


# Successions.


def rename(site: Site) -> tuple[str, str]:
    """The log takes another name, as a restore makes it; who decided that is noted."""
    new = "N" * 22
    with site.plane.database.write() as connection:
        old = connection.scalar(log_head.select().with_only_columns(log_head.c.origin))
        connection.execute(log_successions.insert().values(old_origin=old, approver="ana", at=7))
        connection.execute(log_head.update().values(origin=new))
    return old, new


def test_a_pop_whose_place_is_covered_goes_on_by_itself(site: Site) -> None:
    """Same entries under a new name: no alarm, no reading again, and also one that was alarmed goes on."""
    site.store.log.raise_alarm("log-rewind", 1)
    _, new = rename(site)
    site.revoke("model-3")
    asyncio.run(site.sync.poll())

    position = site.store.log.position
    assert (position.origin, position.position, position.alarm) == (new, 4, None)
    assert site.sync.trust_state.in_sync()
    assert site.store.revocations.model_revoked("model-3")


def test_a_pop_that_enforced_more_is_not_covered(site: Site) -> None:
    """What it enforced is not in the new log: an alarm, until an operator accepts it there."""
    backup = site.back_up()
    site.revoke("model-3")
    asyncio.run(site.sync.poll())
    site.copy_back(backup)
    rename(site)
    with pytest.raises(Untrusted) as refusal:
        asyncio.run(site.sync.poll())
    assert refusal.value.code == "log-origin"
    assert site.sync.status().alarm == "log-origin"

    site.store.accept_log()
    asyncio.run(site.sync.poll())
    assert site.sync.trust_state.in_sync()
    assert site.store.revocations.model_revoked("model-3")


def test_a_succession_says_who_approved_it(site: Site) -> None:
    """Old log, place, new log, where to read on, and the person who decided it, all signed."""
    old, new = rename(site)
    here = site.store.log.position
    answer = site.get(f"/v1/revocations?after=3&chain={here.chain}&origin={old}&nonce=n")
    said = open_succession(answer.content, site.plane.keys.trust_file(), "n", 0, frozenset())

    place = Point(3, here.chain)
    assert (answer.status_code, said) == (409, Succession(old, place, new, place, Approval("ana", 7)))


@pytest.mark.parametrize("wrong", ["place", "origin", "further", "nonce", "key"])
def test_a_succession_for_another_place_is_refused(world: World, wrong: str) -> None:
    """One for a POP that enforced less, of another log, that skips entries, replayed, or by another key."""
    world.plane.revoke()
    world.plane.revoke()
    asyncio.run(world.sync.poll())
    world.sync._log._nonce = lambda: "n"
    old, follow = world.plane.place(2), world.plane.place(2)
    origin, signer, nonce = world.plane.origin, world.plane.keys.current("log"), "n"
    if wrong == "place":
        old = follow = world.plane.place(1)
    elif wrong == "origin":
        origin = "z" * 22
    elif wrong == "further":
        follow = Point(9, old.chain)
    elif wrong == "nonce":
        nonce = "m"
    else:
        signer = world.plane.keys.current("token")
    body = sign_succession(Succession(origin, old, "N" * 22, follow, Approval("ana", 1)), nonce, 1, signer)
    world.network.plane.serve = lambda _: httpx.Response(409, content=body)  # type: ignore[method-assign]

    with pytest.raises(Untrusted):
        asyncio.run(world.sync.poll())
    assert world.store.log.position.origin == world.plane.origin
    assert world.store.log.position.position == 2


def test_every_no_is_sent_again_to_the_log_that_follows(site: Site) -> None:
    """What was forwarded may be what the restored store has forgotten."""
    with site.store.database.transaction():
        for key, state in (("a" * 22, "forwarded"), ("b" * 22, "refused"), ("c" * 22, "pending")):
            site.store.database.run(
                "INSERT INTO outbox (key, visitor, below, categories, at, state) VALUES (?,?,0,'null',1,?)",
                (key, key, state),
            )
    site.store.follow(Succession("o" * 22, START, "N" * 22, START, Approval("ana", 1)))

    states = dict(site.store.database.rows("SELECT key, state FROM outbox"))
    assert states == {"a" * 22: "pending", "b" * 22: "refused", "c" * 22: "pending"}
