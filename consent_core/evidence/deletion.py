"""Checks 13 to 16: what was counted at 0, which models learnt, what is still open, and which deadline there was."""

from collections.abc import Iterator, Mapping
from typing import Any

from consent_core.errors import Untrusted
from consent_core.evidence.bodies import LogEntry
from consent_core.evidence.ledger import PROMPT_S
from consent_core.evidence.opening import Case, Held
from consent_core.evidence.outcome import Outcome, outcome
from consent_core.evidence.places import attested, before_no, chain_of, listed_places, the_no, trails_between
from consent_core.formats.attestation import Attestation
from consent_core.formats.statement import Deletion, wrong_parts

# The steps of a request that are done after its file is made.
AFTER_EVIDENCE = ("salts", "notify")
UNSEEN = "device "  # a member of `left` that begins so names a device that no place saw again
# The parts of a profile that go by themselves, in words.
ENDING = {
    "log": "the log's entries",
    "log_answers": "signed answers of the log",
    "denials": "the list of tokens taken back",
    "tombstone": "the mark that this person was erased",
}
EVIDENCE_OF = {"enforced": "searches", "erased": "deletions", "devices": "deletions"}


def purge_of(case: Case) -> LogEntry | None:
    """The newest entry that erases the person."""
    purges = [held.value for held in case.entries if held.value.kind == "purge"]
    return max(purges, key=lambda entry: entry.seq, default=None)


def deletions(case: Case) -> Outcome:
    """Check 13: one statement of each place for the purge, exactly the parts of its profile, all 0."""
    purge = purge_of(case)
    stated = [held for held in case.deletions if purge and held.value.seq == purge.seq]
    found = [error for held in stated for error in _deleted(case, held.value)]
    asked = case.signed.pack.question == "deletion"
    if purge and asked and "erased" not in case.signed.pack.open:
        found += _missing(case, stated)
    unseen = [text for text in case.signed.pack.left if text.startswith(UNSEEN)]
    unfinished = "open" if "erased" in case.signed.pack.open else None
    answered = "unseen" if unseen else unfinished
    reason = "no-purge" if purge is None else answered if asked else "not-asked"
    excuse = {"unseen": UNSEEN, "open": "erased"}.get(reason or "")
    ends = sorted({f"{ENDING.get(part, part)} until {day}" for held in stated for part, day in held.value.ends.items()})
    return outcome(found, reason, excuse, count=len(stated), ends="; ".join(ends), devices="; ".join(unseen))


def _missing(case: Case, stated: list[Held[Deletion]]) -> Iterator[Untrusted]:
    places = {held.value.place for held in stated}
    for place in sorted((listed_places(case) | set(case.signed.pack.parties.control_planes)) - places):
        yield Untrusted("deletion-missing", f"{place} did not say that it deleted")
    if not any(place.startswith("control-plane/") for place in places):
        yield Untrusted("deletion-missing", "no control plane said that it deleted")
    devices = {place for place in places if place.startswith("device/")}
    unseen = sum(text.startswith(UNSEEN) for text in case.signed.pack.left)
    if len(devices) + unseen < case.signed.pack.parties.devices:
        yield Untrusted("deletion-missing", "a device neither said that it deleted, nor is named as unseen")


_PROFILE_OF = {"edge": ("pop/v1",), "control-plane": ("control-plane/v1",), "device": ("device/v1",)}


def _deleted(case: Case, statement: Deletion) -> Iterator[Untrusted]:
    chain, role = chain_of(case, statement.place), statement.place.partition("/")[0]
    last = attested(chain, statement.after)
    if role != "device" and (last is None or last.log.position < statement.seq):
        yield Untrusted("statement-after", f"{statement.place} names no attestation that says the purge is in force")
    wrong = wrong_parts(statement, _trails(case, statement.place, last) if last else ())
    if wrong or statement.parts not in _PROFILE_OF[role]:
        yield Untrusted("deletion-parts", f"{statement.place}: {', '.join(sorted(wrong)) or statement.parts}")
    for part, rows in sorted(statement.remaining.items()):
        if rows:
            yield Untrusted("deletion-remaining", f"{statement.place} still held {rows} of {part}")


def _trails(case: Case, place: str, last: Attestation) -> set[str]:
    """A POP's trails since before the no, also those that it no longer attests; each control plane attests its own."""
    chain, no = chain_of(case, place), the_no(case)
    if no is None or not place.startswith("edge/"):
        return set(last.audit)
    return trails_between(chain, before_no(chain, no), last)


def models(case: Case) -> Outcome:
    """Check 14. Nothing learns from visitors yet."""
    return Outcome(reason="learning")


def completeness(case: Case) -> Outcome:
    """Check 15: the parties of the request are those shown, what is open is said, and `--closing` closes this file."""
    pack = case.signed.pack
    found = [*_parties(case), *_open(case), *_steps(case), *_closing(case)]
    reason = None if case.closing else "no-request" if pack.request is None else "no-closing"
    excuse = "salts" if reason == "no-closing" else None
    gone = case.closing.proofs_gone_at if case.closing else 0
    return outcome(found, reason, excuse, gone=gone, open=", ".join(pack.open) or "nothing")


def _parties(case: Case) -> Iterator[Untrusted]:
    listed = {place.removeprefix("edge/") for place in listed_places(case)}
    if set(case.signed.pack.parties.pops) != listed:
        yield Untrusted("incomplete", "the parties of the file are not the places of the lists")
    planes = {place for held in case.lists for place in held.value.places if place.startswith("control-plane/")}
    if planes - set(case.signed.pack.parties.control_planes):
        yield Untrusted("incomplete", "a control plane of the lists is not among the parties of the file")


def _open(case: Case) -> Iterator[Untrusted]:
    pack = case.signed.pack
    if pack.question == "deletion" and not set(AFTER_EVIDENCE) <= set(pack.open):
        yield Untrusted("incomplete", "a file about a deletion is made before its proofs go: that step is open")
    if pack.request is None:
        return
    undone = {str(step.get("step")) for step in _rows(pack.request) if step.get("state") != "done"}
    if undone - {"evidence"} != set(pack.open):
        yield Untrusted("incomplete", "what is open is not what the request's steps leave")
    if not any(dict(held.value) == dict(pack.request) for held in case.requests):
        yield Untrusted("incomplete", "the request is not the one that is in the ledger")
    if not any(_is_first(held.value, pack.request) for held in case.requests):
        yield Untrusted("incomplete", "the request is not in the ledger as it was when it was received")


def _is_first(record: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Whether a record was made when this request was received: so its date has a witness."""
    same = all(record.get(name) == request.get(name) for name in ("id", "kind", "received_at", "due_at"))
    return same and record.get("at", record.get("received_at")) == record.get("received_at")


def _steps(case: Case) -> Iterator[Untrusted]:
    """Each step that the request calls done has its evidence here."""
    if case.signed.pack.request is None:
        return
    for row in _rows(case.signed.pack.request):
        step, party = str(row.get("step")), str(row.get("party"))
        shown = {held.value.place for held in getattr(case, EVIDENCE_OF[step])} if step in EVIDENCE_OF else {party}
        if row.get("state") == "done" and party not in shown and not _has_nobody(case, step, party):
            yield Untrusted("incomplete", f"the step {step} of {party} is done, and its statement is not here")
    if _done(case, "revoke") and the_no(case) is None:
        yield Untrusted("incomplete", "the no was written down, and its entry is not here")


def _has_nobody(case: Case, step: str, party: str) -> bool:
    """A step of devices in a deployment without any."""
    return (step, party) == ("devices", "none") and case.signed.pack.parties.devices == 0


def _done(case: Case, step: str) -> bool:
    request = case.signed.pack.request or {}
    return any(row.get("step") == step and row.get("state") == "done" for row in _rows(request))


def _rows(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    steps = request.get("steps")
    return [row for row in steps if isinstance(row, dict)] if isinstance(steps, list) else []


def _closing(case: Case) -> Iterator[Untrusted]:
    closing, pack = case.closing, case.signed.pack
    if closing is None:
        if case.circumstances.closing is not None:
            yield Untrusted("closing-mismatch", "the closing statement is not genuine by this trust file")
        return
    if closing.pack != case.signed.digest or closing.request != (pack.request or {}).get("id"):
        yield Untrusted("closing-mismatch", "the closing statement is about another file")
    if not pack.made_at - PROMPT_S <= closing.proofs_gone_at <= case.circumstances.at + PROMPT_S:
        yield Untrusted("closing-mismatch", "the proofs cannot have gone before the file was made, or later than now")
    if closing.open:
        yield Untrusted("closing-mismatch", f"the closing statement leaves open: {', '.join(closing.open)}")


def deadline(case: Case) -> Outcome:
    """Check 16: late is odd, and no failure of the file."""
    request = case.signed.pack.request or {}
    received, due = request.get("received_at"), request.get("due_at")
    if type(received) is not int or type(due) is not int:
        return Outcome(reason="no-request")
    made_at = case.signed.pack.made_at
    if received > made_at + PROMPT_S:
        return outcome([Untrusted("evidence-form", "the request is dated after the file that answers it")])
    late = (Untrusted("overdue", f"answered {made_at - due} s after the deadline"),) if made_at > due else ()
    facts = {"took": made_at - received, "due": due, "binding": _binding(request)}
    return Outcome(reason="late" if late else None, remarks=late, facts=facts)


def _binding(request: Mapping[str, Any]) -> str:
    """What the deadline is by; an operator's other words are not repeated."""
    binding = request.get("binding", "ours")
    return binding if binding in ("law", "guidance", "ours") else "by what is not said"
