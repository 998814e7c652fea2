"""`edge evidence replay`: a receipt's decision comes out again, byte for byte, or the command says which did not."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from consent_core.decision.contract import Decision
from consent_core.decision.receipt import sign_receipt
from consent_core.formats.endorsement import Endorsement, sign_endorsement
from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.trust.decision_receipts import open_given
from consent_core.trust.trust_file import NO_LOG
from edge_cli.replay import given_in, replay_all
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.pop.stores import Interaction
from runtime_host.wasm.functions import Personalizer
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.sandbox import SandboxPool
from tests.conftest import ROOT
from tests.runtime_host.pop.edge import make_edge, visitor

PAGES = [f"section={section}&path=/{section}/{n}" for section in ("camping", "water") for n in range(3)]


@pytest.fixture(scope="module")
def given(components, tmp_path_factory):
    """A visitor's receipts from a POP with the deployed component, its key and the trust file."""
    place = tmp_path_factory.mktemp("pop")
    pool = SandboxPool(load_component(components["personalization"], components.trust, 0, NO_LOG))
    parts = {"personalizers": dict.fromkeys(CATEGORIES, Personalizer(pool))}
    with asyncio.Runner() as runner:
        edge = make_edge(place / "data", keys=components.store, parts=parts)
        key, now = AttesterKey.open(edge.pop.config.home), edge.clock.now()
        endorsement = Endorsement("spiffe://ui-tools/edge/tokyo-1", key.kid, key.public_key, now - 60, now + 86_400)
        envelope = sign_endorsement(endorsement, components.store.current("attestation"))
        key.keep_endorsement(edge.pop.config.home, json.loads(envelope))
        edge.pop.store.history.record(
            Interaction(subject_of(visitor(1)), 1, "behavioral", "purchase", "tent", ("camping", "tent"))
        )
        lines = runner.run(_answers(edge))
        runner.run(edge.pop.stop())
    pool.close()
    (place / "trust.json").write_bytes(components.store.trust_file().to_bytes())
    (place / "why.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    return place, key


async def _answers(edge):
    await edge.sync()
    asked = [
        await edge.get(f"/v1/slots/{slot}?{page}&why=1", edge.token(*CATEGORIES, sub=visitor(who)))
        for slot in ("home-hero", "member-banner", "promo-tile")
        for page in PAGES
        for who in (1, 2)
    ]
    return [reply.body for reply in asked]


def replaying(given, components, file="why.ndjson"):
    place, _ = given
    return ["evidence", "replay", place / file, "--components", components.directory, "--trust", place / "trust.json"]


def test_every_decision_comes_out_again(edge, given, components):
    """Fresh sandboxes, the component of exactly that digest: 36 of 36."""
    said = edge(*replaying(given, components), "--json")

    assert {one["verdict"] for one in said.json} == {"equal"}
    assert (said.code, len(said.json)) == (0, 36)
    assert len({one["slot"] for one in said.json}) == 3


def test_another_process_with_another_hash_seed_agrees(given, components):
    """Nothing of this process is in a decision."""
    command = [sys.executable, "-m", "edge_cli.edge", *map(str, replaying(given, components)), "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    assert [one["verdict"] for one in json.loads(run.stdout)] == ["equal"] * 36
    assert run.returncode == 0


def test_what_the_component_would_not_have_decided_differs(edge, given, components):
    """Also when the POP itself signed it: the one thing a replay is for."""
    place, key = given
    lines = (place / "why.ndjson").read_bytes().splitlines()
    why = json.loads(lines[0])["why"]
    receipt = open_given(why, components.store.trust_file(), NO_LOG)
    other = next(one for one in receipt.input.candidates if one.asset != receipt.output.asset)
    output = Decision(
        other.asset, other.copies[0], receipt.output.adjustment, receipt.output.propensity, explored=False
    )
    lied = {**why, "receipt": sign_receipt(replace(receipt, output=output), key)}
    (place / "lie.json").write_text(json.dumps(lied))
    said = edge(*replaying(given, components, "lie.json"))

    assert said.code == 1
    assert "differs" in said.out


def test_a_receipt_by_a_stranger_is_refused_by_name(edge, given, components, tmp_path):
    """Nothing is decided from an unsigned receipt."""
    place, _ = given
    why = json.loads((place / "why.ndjson").read_bytes().splitlines()[0])["why"]
    receipt = open_given(why, components.store.trust_file(), NO_LOG)
    stranger = AttesterKey.open(tmp_path)
    (place / "stranger.json").write_text(json.dumps({**why, "receipt": sign_receipt(receipt, stranger)}))
    said = edge(*replaying(given, components, "stranger.json"), "--json")

    assert (said.code, [(one["verdict"], one["code"]) for one in said.json]) == (1, [("refused", "endorsement")])


@pytest.mark.parametrize(("places", "said"), [((), "attester-unlisted"), (("edge/tokyo-1",), "")])
def test_a_place_on_no_public_list_is_refused_by_name(given, components, places, said):
    """An endorsed key may be that of a place that the operator owns up to nowhere."""
    place, _ = given
    one = given_in((place / "why.ndjson").read_bytes().splitlines()[0])
    (replayed,) = replay_all(one, components.directory, components.store.trust_file(), places)

    assert (replayed.verdict, replayed.code) == ("refused" if said else "equal", said)


def test_without_the_component_there_is_no_verdict(edge, given, tmp_path):
    """A newer release is no substitute."""
    place, _ = given
    said = edge(
        "evidence", "replay", place / "why.ndjson", "--components", tmp_path, "--trust", place / "trust.json", "--json"
    )

    assert said.code == 1
    assert {one["code"] for one in said.json} == {"component-missing"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"slot": "home-hero", "category": "default", "why": null}'])
def test_what_is_no_receipt_is_refused(edge, given, components, text):
    """An empty file proves nothing; a default has no receipt."""
    place, _ = given
    (place / "bad.json").write_text(text)

    assert edge(*replaying(given, components, "bad.json")).code == 1
