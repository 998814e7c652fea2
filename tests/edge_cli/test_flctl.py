"""`flctl`: a measurement sent over mutual TLS by the place that made it, and the numbers people plan with."""

import asyncio
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

from consent_core.clock import SystemClock
from consent_core.formats.update import Update, write_update
from consent_core.privacy.ledger import spend
from consent_core.privacy.weeks import later, week_of
from consent_core.trust.svid_key import SvidSigner
from control_plane.app import create_app
from control_plane.federated.rounds import find
from control_plane.process import serving
from control_plane.settings import Settings
from edge_cli.flctl import main
from tests.control_plane.federated.place import Place
from tests.edge_cli.conftest import Said

PLACE = "spiffe://ui-tools/edge/tokyo-1"


@pytest.fixture
def flctl(monkeypatch):
    """`flctl("status")` in this process."""

    def run(*arguments) -> Said:
        monkeypatch.setattr(sys, "argv", ["flctl", *map(str, arguments)])
        out, err, code = io.StringIO(), io.StringIO(), 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 0
        return Said(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> bytes:
    """A measurement of a control plane that does not run."""
    plane = create_app(Settings(data=tmp_path_factory.mktemp("plane")))
    body = finished_week(plane)
    plane.close()
    return body


def submitting(path, port, data, **changes):
    options = {"model-id": "contextual", "epsilon": 5, "delta": "1e-5", "spiffe-id": PLACE, **changes}
    asserted = [word for name, value in options.items() for word in (f"--{name}", value)]
    where = ("--data", data, "--control-plane", f"https://127.0.0.1:{port}", "--json")
    return ("submit", "--weights", path, *asserted, *where)


def finished_week(plane) -> bytes:
    """Last week's measurement of tokyo-1, with a round that was open then."""
    now = SystemClock().now()
    week = later(week_of(now), -1)
    with plane.database.write() as connection:
        plane.federated.rounds._open(connection, week, now)
        found = find(connection, week)
    update = Update(
        models=found.terms.models,
        pop="tokyo-1",
        week=week,
        base=found.base,
        mechanism=found.terms.mechanism_stated,
        guarantee=found.terms.guarantee_stated,
        policy=found.policy,
        ledger=spend((), week, found.terms.mechanism),
        spiffe_id=PLACE,
    )
    return write_update(update, np.zeros(found.terms.length, dtype=np.int64), SvidSigner.of(Place(plane).svid))


def test_a_week_is_sent_over_mutual_tls_and_shown(tmp_path, flctl):
    """Twice the same: one verdict. Then the operator sees the week, who is missing, and what was spent."""

    async def play():
        async with serving(Settings(data=tmp_path / "data", public_port=0, mesh_port=0)) as running:
            path, data = tmp_path / "weights.bin", tmp_path / "data"
            path.write_bytes(await asyncio.to_thread(finished_week, running.plane))
            line = submitting(path, running.mesh_port, data)
            first, again = [await asyncio.to_thread(flctl, *line) for _ in range(2)]
            asked = (
                "--data",
                data,
                "--control-plane",
                f"https://127.0.0.1:{running.mesh_port}",
                "--as",
                "ann",
                "--json",
            )
            status = await asyncio.to_thread(flctl, "status", *asked)
            budget = await asyncio.to_thread(flctl, "budget", "--pop", "tokyo-1", *asked)
            return first, again, status, budget

    first, again, status, budget = asyncio.run(play())
    assert first.code == 0, first.err
    assert first.json["verdict"] == "accepted"
    assert again.json == first.json
    assert status.json["rounds"][0]["accepted"] == ["tokyo-1"]
    assert "frankfurt-1" in status.json["rounds"][0]["missing"]
    assert [line["rho"] for line in budget.json["spent"]] == ["8388608/76125335"]
    assert (tmp_path / "data" / "logs" / "fl" / "tokyo-1").is_dir()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"epsilon": 1}, "budget-mismatch"),
        ({"delta": "1e-6"}, "budget-mismatch"),
        ({"model-id": "experimental"}, "update-category"),
        ({"spiffe-id": "spiffe://ui-tools/edge/paris-1"}, "update-foreign"),
    ],
)
def test_what_is_asserted_must_be_what_the_file_says(tmp_path, finished, flctl, changes, code):
    """Nothing is sent: no control plane listens here."""
    path = tmp_path / "weights.bin"
    path.write_bytes(finished)
    said = flctl(*submitting(path, 1, tmp_path, **changes))

    assert (said.code, said.json["error"]["code"]) == (1, code)


def test_the_promise_is_printed_without_a_control_plane(flctl):
    """The table of docs/privacy.md."""
    rows = flctl("budget", "--json").json["promise"]

    assert [row["guess"] for row in rows] == ["59.3 %", "68.1 %", "70.0 %", "79.2 %", "95.6 %", "96.4 %"]


def test_a_plan_compares_epsilons(flctl):
    """Less epsilon needs more noise, and hides more."""
    rows = flctl("budget", "--plan", "--json").json

    assert [row["epsilon"] for row in rows] == ["1", "2", "5", "8"]
    assert [row["sigma2"] for row in rows] == sorted((row["sigma2"] for row in rows), reverse=True)
    assert "noise" in flctl("budget", "--plan").out


def test_every_command_has_an_example(flctl):
    """And takes --json."""
    for command in ("submit", "status", "budget"):
        said = flctl(command, "--help")
        assert "Example" in said.out
        assert "--json" in said.out


def test_other_bytes_are_no_update(tmp_path, flctl):
    """One code, exit 1."""
    path = tmp_path / "weights.bin"
    path.write_bytes(json.dumps({"weights": [1, 2]}).encode())

    assert flctl(*submitting(path, 1, tmp_path)).json["error"]["code"] == "update-malformed"
