"""Packs that must fail by name: keys, proofs, forks, witnesses, times. Each is signed again by the operator."""

from dataclasses import replace

import pytest

from consent_core.evidence.bodies import statements_body
from consent_core.evidence.pack import pack_value
from consent_core.formats.canonical import canonical_json
from consent_core.formats.tlog import consistency_path
from consent_core.trust.keys import KeyStore

from .reading import failing, refused, shown, verdict_of
from .world import START, World

OTHER = "0d" * 32


def test_a_proof_swapped_is_refused(played):
    """A proof is for one leaf at one place."""
    pack = played.pack()
    first, second, *rest = pack.records
    swapped = (replace(first, proof=second.proof), replace(second, proof=first.proof), *rest)

    refused(played, "proof", 6, played.sealed(replace(pack, records=swapped)))


def test_a_document_changed_does_not_open_its_leaf(played):
    """A body is what its leaf commits to, to the letter."""
    pack = played.pack()
    changed = [
        replace(record, body={**record.body, "seen": pack_seen(played)}) if record.body["kind"] == "receipt" else record
        for record in pack.records
    ]
    refused(played, "commitment", 6, played.sealed(replace(pack, records=tuple(changed))))


def pack_seen(world):
    return world.checkpoints[0][1].text


def test_a_receipt_by_a_foreign_key_is_refused(tmp_path):
    """Another deployment's key signs for itself."""
    world, foreign = World(tmp_path), KeyStore.open(tmp_path / "foreign", create=True)
    mine, world.keys = world.keys, world.keys
    world.begin()
    world.keys = _Mixed(mine, foreign)
    world.say_yes()
    world.keys = mine
    world.say_no()

    refused(world, "trust-key-unknown", 3, world.sealed(world.pack("consent")))


class _Mixed:
    """The operator's keys, with another's for role `log`."""

    def __init__(self, mine, foreign):
        self._mine, self._foreign = mine, foreign

    def current(self, role):
        return (self._foreign if role == "log" else self._mine).current(role)

    def trust_file(self):
        return self._mine.trust_file()


def test_two_ledgers_of_one_size_are_a_fork(played):
    """Even cosigned: witnesses that sign both, or too few, cannot make two stories one."""
    pack = played.pack()
    other = World.__new__(World)
    other.__dict__ = {**played.__dict__, "leaves": [*played.leaves[:-1], played.leaves[0]], "checkpoints": []}
    other.publish(pad=0)
    log = pack.logs[0]
    forked = replace(log, checkpoints=(*log.checkpoints, other.checkpoints[0][0]), consistency=(*log.consistency, ()))

    refused(played, "ledger-forked", 5, played.sealed(replace(pack, logs=(forked,))))


@pytest.mark.parametrize(
    ("quorum", "words"), [(1, "Two stories are possible"), (0, "No witness: the operator's word alone")]
)
def test_too_few_witnesses_are_said_in_the_first_line(tmp_path, quorum, words):
    """Half or fewer of the witnesses must sign: the reader's choice, said first."""
    world = World(tmp_path, quorum=quorum).play()
    verdict = verdict_of(world, world.sealed(world.pack()))

    assert words in verdict.lines[0]
    assert (shown(verdict, 4), verdict.exit_code, failing(verdict)) == ("not shown", 0, {})


def test_a_quorum_that_is_not_met_is_refused(played):
    """One witness of three is not the two that the reader asks for."""
    world = World.__new__(World)
    world.__dict__ = {**played.__dict__, "checkpoints": list(played.checkpoints)}
    world.checkpoints[-1] = (world.checkpoints[-1][0].rsplit("\u2014", 2)[0], world.checkpoints[-1][1])

    refused(world, "witness-quorum", 4, world.sealed(world.pack()))


def test_a_back_dated_receipt_is_refused(tmp_path):
    """What witnesses saw a day after its date was made after its date."""
    older = lambda receipt: dated(receipt, START - 10 * 86_400)  # noqa: E731
    world = World(tmp_path, tweaks={"receipt": older}).play()

    refused(world, "late-entry", 7)


def test_a_receipt_from_after_its_witnesses_is_refused(tmp_path):
    """A date that lies after the cosignatures was invented."""
    world = World(tmp_path, tweaks={"receipt": lambda receipt: dated(receipt, START + 86_400)}).play()

    refused(world, "early-entry", 7)


def dated(receipt, at):
    return replace(receipt, events=({**receipt.events[0], "event_time": at},))


def test_a_revoked_attester_counts_until_its_revocation(played):
    """By the witness time: what witnesses saw before it stands, what came after falls."""
    data, kid = played.sealed(played.pack()), played.attesters["edge/tokyo-1"].kid

    assert verdict_of(played, data, revoked={kid: played.now + 1}).exit_code == 0
    refused(played, "trust-key-revoked", 3, data, revoked={kid: START + 60})


def test_a_revoked_pack_key_does_not_count_at_all(played):
    """No witness says when the file was signed."""
    data = played.sealed(played.pack())

    refused(played, "evidence-signature", 2, data, revoked={played.keys.current("attestation").kid: played.now + 10**6})


def test_a_checkpoint_that_a_document_saw_belongs_to_the_file(played):
    """What was made after a checkpoint shows it: else nobody could tell that it is of the same ledger."""
    spare = played.checkpoints.index(next(c for c in played.checkpoints if c[1].text in str(played.placed)))
    world = World.__new__(World)
    world.__dict__ = {**played.__dict__, "checkpoints": [c for n, c in enumerate(played.checkpoints) if n != spare]}

    refused(world, "seen-missing", 5, world.sealed(world.pack()))


def test_an_edited_file_without_a_new_signature_is_refused_as_such(played):
    """Every edit above also fails for who cannot sign."""
    data, pack = played.sealed(played.pack()), played.pack()
    edited = replace(pack, open=())
    import json

    original = json.loads(data)
    forged = canonical_json({**pack_value(edited), "kid": original["kid"], "signature": original["signature"]})

    refused(played, "evidence-signature", 2, forged)


def test_a_statement_of_one_kind_only_is_no_statement(played):
    """The leaf of statements is bound to the person that the statements name."""
    body = statements_body([], OTHER)
    placed = (body, *played.placed[-1][1:])

    refused(played, "commitment", 6, played.sealed(played.pack(records=[*played.placed[:-1], placed])))


def test_a_ledger_that_was_rewritten_did_not_grow(played):
    """Two cosigned checkpoints of two sizes, of which the later one does not hold the earlier one's leaves."""
    pack, log = played.pack(), played.pack().logs[0]
    other = World.__new__(World)
    leaves = [played.leaves[1], *played.leaves[1:], played.leaves[0]]
    other.__dict__ = {**played.__dict__, "leaves": leaves, "checkpoints": []}
    other.publish(pad=0)
    old, new = played.checkpoints[-1][1].size, len(leaves)
    proof = tuple(consistency_path(old, new, other.hashes(new)))
    grown = replace(log, checkpoints=(*log.checkpoints, other.checkpoints[0][0]), consistency=(*log.consistency, proof))

    refused(played, "proof", 5, played.sealed(replace(pack, logs=(grown,))))


def test_a_leaf_in_another_places_name_is_refused(tmp_path):
    """What the public list of leaves says of an attestation is what the attestation says."""
    world = World(tmp_path)
    put = world.put
    world.put = lambda body, kind="person", **named: put(
        body, kind, **{**named, **({"n": 77} if "life" in named else {})}
    )
    world.begin()
    world.say_yes()

    refused(world, "commitment", 6, world.sealed(world.pack("consent")))
