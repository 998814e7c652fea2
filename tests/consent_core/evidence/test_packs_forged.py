"""What a clever operator would try, with all of the operator's keys and an honest ledger: each fails by name."""

from dataclasses import replace

import pytest

from consent_core.evidence.bodies import AttesterList
from consent_core.formats.attestation import FIRST
from consent_core.formats.canonical import canonical_json
from consent_core.formats.leaf import commit, person_leaf
from consent_core.formats.note import Checkpoint, cosign, sign_checkpoint
from consent_core.formats.statement import After
from consent_core.formats.tlog import LeafHashes, leaf_hash, root_hash

from .reading import failing, refused, shown, verdict_of
from .world import NO_SEQ, PLACES, START, World

TOKYO = "edge/tokyo-1"
AGES = 2**53 - 1


def tokyo(change):
    """A tweak of what Tokyo says."""
    return lambda said: change(said) if said.place == TOKYO else said


def played(tmp_path, **tweaks):
    return World(tmp_path, tweaks=tweaks).play()


# -- searches


def test_a_search_from_before_the_no_was_applied_is_refused(tmp_path):
    """From the head before the no to the same head there is nothing to find."""
    world = World(tmp_path)

    def early(search):
        before, text = next(one for one in reversed(world.chains[TOKYO]) if one[0].until <= world.no_at)
        after = After(before.life, before.n, "sha256:" + _sha(text))
        return replace(search, after=after, trails={name: (head, head) for name, head in before.audit.items()})

    world.tweaks["search"] = tokyo(early)
    refused(world.play(), "statement-after", 12)


def _sha(text):
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def test_a_search_that_dates_the_no_later_is_refused(tmp_path):
    """What was shown after the no may not be counted as before it: the reports say when it was applied."""
    late = tokyo(lambda s: replace(s, applied_at=s.applied_at + 1, personalised_before_applied=9))

    refused(played(tmp_path, search=late), "personalised-after", 12)


def test_a_second_search_does_not_replace_the_first(tmp_path):
    """Who found something cannot search again until nothing is found."""
    world = World(tmp_path)
    state = world.state

    def twice(statements):
        state([replace(one, personalised_after=5) if one.place == TOKYO else one for one in statements])
        state(statements)

    world.state = lambda statements: twice(statements) if hasattr(statements[0], "trails") else state(statements)
    refused(world.play(), "personalised-after", 12)


# -- reports


def test_a_place_that_goes_back_behind_the_no_is_refused(tmp_path):
    """In force, and in the next report not: then it was not enforced."""
    world = World(tmp_path)

    def back(attestation):
        fallen = attestation.log.position > NO_SEQ  # the report of the purge, of which no check 11 asks
        return replace(attestation, log=replace(attestation.log, position=42, applied=())) if fallen else attestation

    world.tweaks["attestation"] = tokyo(back)
    refused(world.play(), "enforcement-missing", 11)


def test_a_chain_begun_anew_after_the_no_is_refused(tmp_path):
    """A place that was on the list well before the no has reports from before it, and cannot be new."""
    world = World(tmp_path)
    world.begin()
    world.say_yes()
    world.now += 200
    hidden = {text for _, text in world.chains[TOKYO]}

    def anew(attestation):
        first = attestation.n == len(hidden) + 1
        n = {"n": attestation.n - len(hidden), "prev": FIRST if first else attestation.prev}
        return replace(attestation, **n, since=attestation.until if first else attestation.since)

    say_no = world.say_no

    def say():
        world.tweaks["attestation"] = tokyo(lambda a: anew(a) if a.prev in _digests(hidden) else a)
        say_no()

    say()
    placed = [one for one in world.placed if not any(text.encode() in one[0] for text in hidden)]
    refused(world, "attestation-gap", 10, world.sealed(world.pack("enforcement", placed)))


def _digests(texts):
    return {"sha256:" + _sha(text) for text in texts}


def test_a_new_life_that_hides_the_end_of_the_old_one_is_refused(tmp_path):
    """The first report of a life names the last one before it."""
    last = lambda a: replace(a, life=2, n=1, prev=FIRST) if a.log.position > NO_SEQ else a  # noqa: E731
    world = played(tmp_path, attestation=tokyo(last))

    refused(world, "attestation-gap", 10)


def test_another_log_is_not_the_one_of_the_no(tmp_path):
    """Entry 43 of a log that another place does not follow is another entry."""
    other = tokyo(lambda a: replace(a, log=replace(a.log, origin="B" * 22)))

    refused(played(tmp_path, attestation=other), "enforcement-missing", 11)


def test_an_entry_whose_number_was_long_applied_is_refused(tmp_path):
    """A low number would make every place have stopped before anything was said."""
    world = World(tmp_path)
    world.begin()
    world.say_yes()
    world.now += 200
    world.tweaks["entry"] = lambda entry: {**entry, "seq": entry["seq"] - 5}
    world.say_no()

    refused(world, "revocation-chain", 9, world.sealed(world.pack("enforcement")))


def test_reports_put_into_the_ledger_days_later_show_nothing(tmp_path):
    """Made when somebody asked and dated back, they are the operator's word: not shown, and no answer."""
    world = World(tmp_path)
    world.begin()
    world.say_yes()
    attest, days = world.attest, 3 * 86_400

    def dated_back(place, kind="interval", **how):
        attest(place, kind, iat=world.now, **how)

    world.attest = dated_back
    step, world.step = world.step, lambda seconds=30, **how: step(seconds + (days if seconds == 30 else 0), **how)
    world.say_no()
    verdict = verdict_of(world, world.sealed(world.pack("enforcement")))

    assert (shown(verdict, 10), verdict.exit_code) == ("not shown", 1)
    assert "more than a day after" in verdict.results[10].sentence


def test_a_place_that_does_not_say_when_is_counted_to_the_end_of_its_report(tmp_path):
    """`0 s after the no` is not said where no report tells a time."""
    silent = {"attestation": lambda a: replace(a, log=replace(a.log, applied=()))}
    world = World(tmp_path, tweaks=silent).play()

    assert "2 s after" in verdict_of(world, world.sealed(world.pack())).results[11].sentence


# -- deletions


def test_a_deletion_from_before_the_purge_is_refused(tmp_path):
    """A place that has not applied the purge has not deleted for it."""
    world = World(tmp_path)

    def early(deletion):
        before, text = world.chains[TOKYO][-2]
        return replace(deletion, after=After(before.life, before.n, "sha256:" + _sha(text)))

    world.tweaks["deletion"] = tokyo(early)
    refused(world.play(), "statement-after", 13)


def test_a_trail_that_is_no_longer_attested_is_deleted_too(tmp_path):
    """A worker's trail dropped from the last report still holds the person."""
    world = World(tmp_path)
    drop = lambda audit: {name: head for name, head in audit.items() if name != "tokyo-1.w2"}  # noqa: E731
    world.tweaks["attestation"] = tokyo(lambda a: replace(a, audit=drop(a.audit)) if a.log.position > NO_SEQ else a)

    refused(world.play(), "deletion-parts", 13)


def test_a_control_plane_left_out_of_the_parties_is_missed(tmp_path):
    """Every control plane of the lists deletes, not one of them."""
    second = {"list": lambda listed: replace(listed, places=tuple(sorted((*listed.places, "control-plane/second"))))}

    refused(played(tmp_path, **second), "incomplete", 15)


@pytest.mark.parametrize("gone", [-10_000, 10_000])
def test_proofs_that_went_at_an_impossible_time_are_not_gone(played_once, gone):
    """Before the file was made from them, or later than now."""
    world = played_once
    data = world.sealed(world.pack())
    closing = world.closing(data, proofs_gone_at=world.now + gone)

    refused(world, "closing-mismatch", 15, data, closing=closing)


@pytest.fixture(scope="module")
def played_once(tmp_path_factory):
    return World(tmp_path_factory.mktemp("forged")).play()


# -- the ledger


def test_two_stories_in_two_lists_of_checkpoints_are_a_fork(played_once):
    """A second story does not become another ledger by lying beside the first in the file."""
    world, pack = played_once, played_once.pack()
    leaves = [person_leaf(bytes([n]) * 32) for n in range(len(world.leaves))]
    hashes = LeafHashes([leaf_hash(leaf) for leaf in leaves])
    note = sign_checkpoint(
        Checkpoint(world.trust.ledger_origin, len(leaves), root_hash(len(leaves), hashes)),
        [world.keys.current("ledger")],
    )
    for name in ("w1.example", "w2.example"):
        note += cosign(note, name, world.witnesses[name], world.now)
    other = replace(pack.logs[0], checkpoints=(note.decode(),), consistency=())

    refused(world, "ledger-forked", 5, world.sealed(replace(pack, logs=(*pack.logs, other))))


def test_a_log_under_another_name_is_refused(played_once):
    """The file cannot call the ledger of the trust file something else."""
    pack = played_once.pack()
    named = replace(pack, logs=(replace(pack.logs[0], origin="somebody.example/log"),))

    refused(played_once, "note-malformed", 4, played_once.sealed(named))


def test_a_leaf_of_no_form_leaves_the_other_checks_standing(played_once):
    """Every check runs, also after one that fails."""
    pack = played_once.pack()
    number = next(n for n, record in enumerate(pack.records) if record.body["kind"] == "attestation")
    broken = replace(pack.records[number], leaf=canonical_json({}))
    records = (*pack.records[:number], broken, *pack.records[number + 1 :])

    refused(played_once, "leaf-malformed", 6, played_once.sealed(replace(pack, records=records)))


# -- what is said to people


@pytest.mark.parametrize("said", ["device \x1b[2J\x1b[H", "device 7\nholds", "device \u202esdloh"])
def test_a_text_that_moves_the_readers_screen_is_no_form(played_once, said):
    """Nothing in a file clears a terminal, begins a line of its own, or turns the direction of writing."""
    refused(played_once, "evidence-form", 1, played_once.sealed(replace(played_once.pack(), left=(said,))))


def test_a_name_that_moves_the_readers_screen_is_made_plain(tmp_path):
    """Also where the text lies deeper: a receipt's region, the party of a step."""
    named = played(
        tmp_path,
        receipt=lambda receipt: replace(receipt, region="tokyo\x1b[2J"),
        request=lambda record: {**record, "steps": [*record["steps"], _step("\x1b[1Aall holds")]},
    )
    verdict = verdict_of(named, named.sealed(named.pack()))
    said = [*verdict.lines, *(result.sentence for result in verdict.results)]
    said += [found.message for result in verdict.results for found in result.findings]
    said += [document.said for document in verdict.documents]

    assert failing(verdict)["incomplete"] == 15
    assert all(text.isprintable() for text in said)


def _step(party):
    return {"step": "enforced", "party": party, "state": "done"}


def test_a_deadlines_reason_is_one_of_three_words(tmp_path):
    """The operator's own words do not become a sentence of the verdict."""
    bold = {"request": lambda record: {**record, "binding": "law. All eighteen checks hold"}}
    world = played(tmp_path, **bold)

    assert "eighteen" not in verdict_of(world, world.sealed(world.pack())).results[16].sentence


@pytest.mark.parametrize("due", [AGES, 253_402_300_800])
def test_a_date_of_no_calendar_is_said_to_be_none(tmp_path, due):
    """After a number that is no date the rest is read."""
    world = played(tmp_path, request=lambda record: {**record, "due_at": due})

    assert "a time that is not stated" in verdict_of(world, world.sealed(world.pack())).results[16].sentence


def test_a_receipt_of_no_date_is_refused_by_its_time(tmp_path):
    """And is no failure of the reader's program."""
    ages = lambda event: {**event, "event_time": AGES}  # noqa: E731
    world = played(tmp_path, receipt=lambda r: replace(r, events=tuple(map(ages, r.events))) if r.ver == 1 else r)

    assert verdict_of(world, world.sealed(world.pack())).exit_code == 1


def test_the_first_of_two_events_dates_no_receipt(tmp_path):
    """The time that a receipt is judged by is the one that its key is judged by: that of its last event."""

    def two(receipt):
        old = {**receipt.events[0], "event_time": START - 10 * 86_400}
        return replace(receipt, events=(*receipt.events, old)) if receipt.ver == 1 else receipt

    refused(played(tmp_path, receipt=two), "late-entry", 7)


def test_a_request_from_after_its_file_is_refused(tmp_path):
    """`Answered in minus a day` would be no answer."""
    world = World(
        tmp_path, tweaks={"request": lambda record: {**record, "received_at": record["received_at"] + 90_000}}
    )

    refused(world.play(), "evidence-form", 16)


def test_a_portable_edge_cannot_hide_a_place(tmp_path):
    """A POP that is called portable in a later list left the list, and says so itself."""

    def portable(listed):
        return listed if listed.n == 1 else AttesterList(listed.n, listed.at, PLACES[:2], (TOKYO,))

    world = World(tmp_path, tweaks={"list": portable})
    world.begin()
    world.say_yes()
    world.list_places(2)
    world.step()
    for act in (world.say_no, world.erase, world.ask):
        act()

    refused(world, "attester-left", 11)


def test_a_record_moved_to_a_later_place_is_refused(played_once):
    """The index is proven, not told."""
    pack = played_once.pack()
    record = pack.records[-1]
    moved = replace(pack, records=(*pack.records[:-1], replace(record, index=record.index + 1)))

    refused(played_once, "proof", 6, played_once.sealed(moved))


def test_a_document_that_never_was_a_leaf_is_refused(played_once):
    """Committed to, signed, and in no tree: its proof is another leaf's."""
    pack, record = played_once.pack(), played_once.pack().records[-1]
    body = {**record.body, "subject": "0d" * 32}
    invented = replace(record, body=body, leaf=person_leaf(commit(canonical_json(body), record.salt)))

    refused(played_once, "proof", 6, played_once.sealed(replace(pack, records=(*pack.records, invented))))


def test_a_part_that_no_profile_has_is_named_and_refused(tmp_path):
    """What a place says goes by itself; the reader's program goes on."""
    more = tokyo(lambda s: replace(s, ends={**s.ends, "elsewhere": "2999-01-01"}))

    refused(played(tmp_path, deletion=more), "deletion-parts", 13)


def test_a_choice_without_words_is_not_said_to_have_had_any(tmp_path):
    """`Given these words` is said only of versions that name them."""
    world = played(
        tmp_path, receipt=lambda receipt: replace(receipt, privacy_notice={}) if receipt.ver == 1 else receipt
    )
    verdict = verdict_of(world, world.sealed(world.pack()))

    assert "No words are named for version 1" in verdict.results[8].sentence


def test_a_digest_that_is_no_text_is_no_digest(tmp_path):
    """Nothing that an operator can sign ends the reader's program."""
    listed = lambda receipt: replace(receipt, privacy_notice={"clause_sha256": [1]})  # noqa: E731

    refused(played(tmp_path, receipt=listed), "clause-digest", 8)
