"""Packs that must fail by name: persons, receipts, words, requests. Each is signed again by the operator."""

from dataclasses import replace

import pytest

from consent_core.formats.canonical import sha256_digest
from consent_core.policy.signature import lines_digest

from .reading import failing, refused, shown, verdict_of, without
from .world import APPROVED, START, WORDS, World, signed_receipt

OTHER = "0d" * 32


def test_a_record_removed_is_missed(played):
    """The request's steps say which statements there must be."""
    data = without(played, "statements", where=lambda body: body == json_of(played, "search"))
    refused(played, "incomplete", 15, data)


def json_of(world, kind):
    return next(record.body for record in world.pack().records if is_statement(record, kind))


def is_statement(record, kind):
    import base64

    if record.body["kind"] != "statements":
        return False
    payload = record.body["jws"][0].split(".")[1]
    return f'"kind":"{kind}"'.encode() in base64.urlsafe_b64decode(payload + "==")


def test_a_clause_text_off_by_one_letter_is_refused(played):
    """The words shown are those whose digest the receipt names."""
    pack = played.pack()
    digest = sha256_digest(WORDS.encode())
    altered = replace(pack, texts={**pack.texts, digest: WORDS.replace("click", "clock")})
    renamed = replace(pack, texts={sha256_digest(b"x"): "x", sha256_digest(APPROVED.encode()): APPROVED})

    refused(played, "clause-digest", 8, played.sealed(altered))
    refused(played, "clause-digest", 8, played.sealed(renamed))


def test_a_receipt_of_another_person_is_refused(played):
    """Who holds another receipt holds another file's."""
    newest = replace(open_own(played), pii_principal_id=OTHER)

    refused(played, "subject-foreign", 0, receipt=signed_receipt(newest, played.keys.current("log")))


def open_own(world):
    from consent_core.formats.receipt import open_receipt

    return open_receipt(world.receipts[-1], world.trust, frozenset())


def test_a_document_about_another_person_is_refused(tmp_path):
    """One pseudonym a file."""
    other = {"receipt": lambda receipt: replace(receipt, pii_principal_id=OTHER) if receipt.ver == 1 else receipt}
    world = World(tmp_path, tweaks=other).play()

    refused(world, "subject-foreign", 0)


def test_the_newest_receipt_omitted_is_seen_by_who_holds_it(tmp_path):
    """A file that stops before the last choice is complete only for who does not hold it."""
    world = World(tmp_path)
    world.begin()
    world.say_yes()
    earlier = world.sealed(world.pack("consent"))
    world.say_no()

    refused(world, "receipt-omitted", 0, earlier)
    assert verdict_of(world, earlier, receipt=world.receipts[0]).exit_code == 0


def test_a_version_left_out_is_a_gap(played):
    """Each receipt names the version before it."""
    refused(played, "receipt-gap", 8, without(played, "receipt", where=lambda body: body["jws"] == played.receipts[0]))


def test_a_withdrawal_needs_its_entry(played):
    """What a receipt takes back, an entry enforces."""
    session = lambda body: body["entry"]["kind"] == "session"  # noqa: E731
    refused(played, "revocation-chain", 9, without(played, "revocation", where=session))


def test_an_entry_bound_to_no_version_is_refused(tmp_path):
    """An entry that takes less than was granted is another withdrawal."""
    lower = lambda entry: {**entry, "ver": 1 if entry["kind"] == "session" else entry["ver"]}  # noqa: E731
    world = World(tmp_path, tweaks={"entry": lower}).play()

    refused(world, "revocation-chain", 9)


def test_a_second_file_does_not_pass_for_the_one_closed(played):
    """The closing statement names one file by its digest."""
    first = played.sealed(played.pack())
    second = played.sealed(replace(played.pack(), left=("nothing",)))

    refused(played, "closing-mismatch", 15, second, closing=played.closing(first))


def test_a_closing_statement_with_something_open_is_refused(played):
    """Closed means that nothing is open."""
    data = played.sealed(played.pack())

    refused(played, "closing-mismatch", 15, data, closing=played.closing(data, open=("notify",)))
    refused(played, "closing-mismatch", 15, data, closing="no.statement.here")


def test_open_emptied_by_hand_is_refused(played):
    """The file of a deletion is made before its proofs go."""
    refused(played, "incomplete", 15, played.sealed(replace(played.pack(), open=())))


def test_a_request_that_is_not_the_ledgers_is_refused(played):
    """Its date decides the deadline: it stands in the ledger."""
    pack = played.pack()

    refused(played, "incomplete", 15, played.sealed(replace(pack, request={**pack.request, "received_at": 7})))


def test_parties_must_be_the_listed_places(played):
    """A POP cannot be struck off in the file alone."""
    pack = played.pack()
    fewer = replace(pack, parties=replace(pack.parties, pops=("tokyo-1",)))

    refused(played, "incomplete", 15, played.sealed(fewer))


def test_rules_that_nobody_approved_are_refused(played):
    """Each policy that a receipt or a place names is approved by a name, under words that are here."""
    pack = played.pack()
    words = {digest: text for digest, text in pack.texts.items() if text != APPROVED}

    refused(played, "approval-missing", 17, without(played, "policy"))
    refused(played, "clause-digest", 17, played.sealed(replace(pack, texts=words)))


def test_late_is_said_and_is_no_failure(tmp_path):
    """A late answer is still an answer."""
    world = World(tmp_path, tweaks={"request": lambda record: {**record, "due_at": START}}).play()
    verdict = verdict_of(world, world.sealed(world.pack()))

    assert failing(verdict) == {"overdue": 16}
    assert (verdict.exit_code, "Late" in verdict.results[16].sentence) == (0, True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda policy: replace(policy, files={**policy.files, "data.json": "cd" * 32}),
        lambda policy: replace(policy, hash="sha256:" + "00" * 32),
        lambda policy: replace(policy, files={**policy.files, "approval.jws": "cd" * 32}),
    ],
)
def test_rules_that_were_not_the_ones_approved_are_refused(tmp_path, spoil):
    """The files make the hash, the approval is among them, and it is about the rest."""
    world = World(tmp_path, tweaks={"policy": spoil}).play()
    verdict = verdict_of(world, world.sealed(world.pack()))

    assert {"approval-digest", "approval-missing"} & set(failing(verdict))
    assert (shown(verdict, 17), verdict.exit_code) == ("fails", 1)


def test_an_approval_of_other_rules_is_refused(tmp_path):
    """An approval cannot be carried over to other files, even where the hash is made anew."""

    def carried_over(policy):
        files = {**policy.files, "data.json": "cd" * 32}
        return replace(policy, files=files, hash=lines_digest(files))

    refused(World(tmp_path, tweaks={"policy": carried_over}).play(), "approval-digest", 17)


def test_an_approval_that_is_not_in_the_policy_is_refused(tmp_path):
    """Another signed approval, beside the policy, is not its approval."""

    def beside(policy):
        files = {"data.json": policy.files["data.json"], "approval.jws": "cd" * 32}
        return replace(policy, files=files, hash=lines_digest(files))

    refused(World(tmp_path, tweaks={"policy": beside}).play(), "approval-digest", 17)
