"""The evidence file itself: one spelling, one signature, no byte that may change."""

import json
from dataclasses import replace

import pytest

from consent_core.errors import Untrusted
from consent_core.evidence import ledger
from consent_core.evidence.opening import Case, Circumstances
from consent_core.evidence.pack import MAX_DEPTH, pack_value, read_pack
from consent_core.evidence.verdict import judge
from consent_core.formats.canonical import canonical_json

from .world import World


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file of two receipts and their rules, small enough to flip every byte of."""
    world = World(tmp_path_factory.mktemp("small"))
    world.begin()
    world.say_yes()
    kinds = (b'"kind":"receipt"', b'"kind":"policy"')
    placed = [one for one in world.placed if any(kind in one[0] for kind in kinds)]
    return world, world.sealed(world.pack("consent", placed))


def test_what_is_written_is_read_back(small):
    """Reading gives the pack that was signed."""
    world, data = small
    signed = read_pack(data)

    assert signed.pack.question == "consent"
    assert canonical_json({**pack_value(signed.pack), "kid": signed.kid}) == signed.message.partition(b"\0")[2]
    assert world.sealed(signed.pack) == data


@pytest.mark.slow
def test_one_bit_flipped_in_any_byte_is_refused(small):
    """Exhaustive over the file: it is not read, or its signature does not hold."""
    world, data = small
    accepted = [n for n in range(len(data)) if not is_refused(world, data, n)]

    assert accepted == []
    assert len(data) > 5_000


def is_refused(world, data, position):
    altered = bytearray(data)
    altered[position] ^= 1 << position % 8
    try:
        signed = read_pack(bytes(altered))
    except Untrusted as error:
        return error.code == "evidence-form"
    case = Case(signed, world.trust, Circumstances(world.now))
    return bool(ledger.signature(case).found)


def test_every_verdict_on_a_flipped_file_is_a_refusal(small):
    """The same through the whole verdict, for every 97th byte: exit 1, and check 1 or 2 says so."""
    world, data = small
    for position in range(0, len(data), 97):
        altered = bytearray(data)
        altered[position] ^= 4
        verdict = judge(bytes(altered), world.trust.to_bytes(), Circumstances(world.now))
        assert verdict.exit_code == 1
        assert "fails" in (verdict.results[1].verdict, verdict.results[2].verdict)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: {**value, "more": 1},
        lambda value: {name: item for name, item in value.items() if name != "left"},
        lambda value: {**value, "format": "consent-edge/evidence/v2"},
        lambda value: {**value, "question": "everything"},
        lambda value: {**value, "subject": "E9" * 32},
        lambda value: {**value, "made_at": -1},
        lambda value: {**value, "made_at": True},
        lambda value: {**value, "records": [{}]},
        lambda value: {**value, "records": [{**value["records"][0], "checkpoint": 99}]},
        lambda value: {**value, "records": [{**value["records"][0], "log": 1}]},
        lambda value: {**value, "records": [{**value["records"][0], "proof": ["==="]}]},
        lambda value: {**value, "records": value["records"] * 20_000},
        lambda value: {**value, "logs": [{**value["logs"][0], "consistency": []}]},
        lambda value: {**value, "texts": {"sha1:00": "x"}},
        lambda value: {**value, "parties": {**value["parties"], "devices": "2"}},
        lambda value: {**value, "request": nested(MAX_DEPTH + 1)},
        lambda value: {**value, "signature": value["signature"] + "="},
    ],
)
def test_another_form_is_refused(small, spoil):
    """Exactly the agreed members, each of its type and within its limit."""
    _, data = small
    with pytest.raises(Untrusted) as caught:
        read_pack(canonical_json(spoil(json.loads(data))))

    assert caught.value.code == "evidence-form"


def nested(depth):
    return {"a": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize("other", [b"", b"[]", b"\xff", b"{" * 100_000, b'{"a":1,"a":1}', b"null"])
def test_what_is_no_pack_is_refused(other, small):
    """Every check is reported even then: the form fails, nothing else is shown."""
    world, _ = small
    verdict = judge(other, world.trust.to_bytes(), Circumstances(world.now))

    assert [result.verdict for result in verdict.results].count("not shown") == 17
    assert (verdict.results[1].findings[0].code, verdict.exit_code) == ("evidence-form", 1)


def test_a_second_spelling_is_refused(small):
    """Indentation, order and escapes are part of the file."""
    _, data = small
    value = json.loads(data)
    for text in (json.dumps(value), json.dumps(value, indent=1), data.decode() + "\n"):
        with pytest.raises(Untrusted):
            read_pack(text.encode())


def test_a_body_of_an_unknown_kind_is_refused(small):
    """What this reader cannot read, it does not call complete."""
    world, data = small
    pack = read_pack(data).pack
    first, *rest = pack.records
    strange = replace(first, body={**first.body, "kind": "horoscope"})
    verdict = judge(
        world.sealed(replace(pack, records=(strange, *rest))), world.trust.to_bytes(), Circumstances(world.now)
    )

    assert verdict.results[1].verdict == "fails"


def test_a_trust_file_that_is_none_is_not_judged_by(small):
    """Without a trust file there is no verdict at all."""
    world, data = small
    with pytest.raises(Untrusted):
        judge(data, b"{}", Circumstances(world.now))
