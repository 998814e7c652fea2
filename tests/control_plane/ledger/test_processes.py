"""The whole way as real processes: a POP's call over mutual TLS, a control plane, three witnesses, an outsider."""

import asyncio
import json
import secrets
import sqlite3
import time

import httpx
import pytest
from typer.testing import CliRunner

from consent_core.clock import SystemClock
from consent_core.formats.consent import ConsentRequest, write_request
from consent_core.formats.leaf import read_leaf
from consent_core.formats.session import credentials_of, stored
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import open_source
from edge_cli.edge import app
from fleet.processes import Fleet
from fleet.witnesses import witness_names

POP = "tokyo-1"
PATIENCE_S = 200.0  # far above what a beat of one second takes, on a machine that does much else


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A control plane whose ledger three witnesses cosign each second. No POP: the test calls as one."""
    data = tmp_path_factory.mktemp("fleet")
    with Fleet(data, [], site=data, witnesses=witness_names(3), plane_options=("--ledger-beat", "1")) as running:
        yield running


async def granted(fleet) -> int:
    """A first yes, as the POP tokyo-1 forwards it."""
    clock, following = SystemClock(), credentials_of(f"2.{secrets.token_urlsafe(32)}".encode())
    request = ConsentRequest(
        session=None,
        next_session=stored(following.grant),
        next_withdraw=stored(following.withdraw),
        key=secrets.token_urlsafe(16),
        grant=("contextual",),
        jurisdiction="EU",
        gpc=False,
        age_band="adult",
        pop=POP,
    )
    source = open_source(fleet.data, SpiffeId.of("ui-tools", "edge", POP), clock=clock)
    async with mesh_client(source, clock, fleet.mesh_url, role="control-plane") as client:
        return (await client.post("/v1/consents", content=write_request(request))).status_code


def ledger(*arguments):
    """What an outsider's command says, and its exit code."""
    result = CliRunner().invoke(app, ["ledger", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.exit_code == 0 else {}


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def test_a_yes_is_proven_to_an_outsider(fleet):
    """From the public listener and the trust file: cosigned by the quorum, every leaf recomputed, this one proven."""
    assert asyncio.run(granted(fleet)) == 200
    with sqlite3.connect(fleet.data / "control-plane" / "consent.db") as connection:
        (leaf,) = connection.execute("SELECT leaf_key FROM proofs").fetchone()
    outside = ("--from", fleet.control_plane_url, "--trust", fleet.data / "trust.json")
    until(lambda: httpx.get(f"{fleet.control_plane_url}/ledger/checkpoint", timeout=60).is_success)
    until(lambda: ledger("prove", leaf, *outside)[0] == 0)
    _, proven = ledger("prove", leaf, *outside)
    code, told = ledger("verify", *outside)

    assert (code, told["verdict"], told["quorum"], told["warning"]) == (0, "in order", "2 of 3", None)
    assert len(told["witnesses"]) >= 2
    proof = fleet.data / "leaf.tlog-proof"
    proof.write_text(proven["proof"])
    code, offline = ledger("verify", "--proof", proof, "--trust", fleet.data / "trust.json")
    assert (code, read_leaf(offline["leaf"].encode()).commitment.hex()) == (0, leaf)


def test_nothing_is_published_while_the_witnesses_are_down(fleet):
    """Two of three die: consent goes on, the checkpoint stays; they come back, and it goes on from where they were."""
    url = f"{fleet.control_plane_url}/ledger/checkpoint"
    until(lambda: httpx.get(url, timeout=60).is_success)
    for name in ("w1", "w2"):
        fleet.witnesses[name].kill()
    time.sleep(0.5)
    before = httpx.get(url, timeout=60).content
    assert asyncio.run(granted(fleet)) == 200
    time.sleep(2.5)  # two beats that two of three witnesses do not see
    stayed = httpx.get(url, timeout=60).content
    for name in ("w1", "w2"):
        fleet.witnesses[name].start()

    until(lambda: httpx.get(url, timeout=60).content not in (before, stayed))
    assert stayed == before or len(stayed) == len(before)
    state = fleet.data / "seen.json"
    code, looked = ledger("watch", "--from", fleet.control_plane_url, "--trust", fleet.data / "trust.json",
                          "--state", state, "--once")  # fmt: skip
    assert (code, looked["findings"]) == (0, [])
