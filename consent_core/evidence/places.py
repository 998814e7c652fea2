"""Checks 10 to 12: who reported without a gap, who had stopped, and what was personalised after it.

A *place* is a POP by its leaf name, `edge/tokyo-1`. The *no* is the newest withdrawal of the file, or else its purge.
"""

from collections.abc import Iterator
from itertools import pairwise

from consent_core.errors import Untrusted
from consent_core.evidence.bodies import LogEntry
from consent_core.evidence.opening import Case, Held
from consent_core.evidence.outcome import Outcome, outcome
from consent_core.formats.attestation import FIRST, Attestation
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.statement import After, Search

NO_RECORD = "0:" + "0" * 64  # the head of a trail that has no record yet

Chain = list[Held[Attestation]]


def the_no(case: Case) -> LogEntry | None:
    """The entry that the checks of this file are about."""
    entries = sorted((held.value for held in case.entries), key=lambda entry: (entry.kind == "session", entry.seq))
    return entries[-1] if entries else None


def listed_places(case: Case) -> set[str]:
    """Every POP on any list of the file."""
    return {place for held in case.lists for place in held.value.places if place.startswith("edge/")}


def staying_places(case: Case) -> set[str]:
    """The POPs of the newest list."""
    newest = max(case.lists, key=lambda held: held.value.n, default=None)
    return {place for place in newest.value.places if place.startswith("edge/")} if newest else set()


def chain_of(case: Case, place: str) -> Chain:
    """A place's attestations in order of life and number."""
    of_place = [held for held in case.attestations if held.value.place == place]
    return sorted(of_place, key=lambda held: (held.value.life, held.value.n))


def reports(case: Case) -> Outcome:
    """Check 10: each place's chain, from the last interval before the no to the newest one shown."""
    no, places = the_no(case), sorted(listed_places(case) | {held.value.place for held in case.attestations})
    found = [*case.problems_of("endorsement", "attest", "dsse-"), *_endorsed_before(case)]
    for place in places:
        found += [*_twice(chain_of(case, place)), *_gaps(chain_of(case, place))]
        found += [] if no is None else _no_report_before(chain_of(case, place), place, no)
    changed = [place for place in places if no is not None and _life_changed(chain_of(case, place), no)]
    reason = "no-entry" if no is None else "no-list" if not places else "life" if changed else None
    return outcome(found, reason, None, places=", ".join(changed or places), count=len(places))


def _endorsed_before(case: Case) -> Iterator[Untrusted]:
    """A key's endorsement is in the ledger before anything that the key signed."""
    for endorsed in case.endorsements:
        signed = [held.record.index for held in case.attestations if held.kid == endorsed.value.kid]
        if min(signed, default=endorsed.record.index + 1) < endorsed.record.index:
            yield Untrusted("endorsement", f"{endorsed.value.spiffe_id} attested before its key was endorsed")


def _twice(chain: Chain) -> Iterator[Untrusted]:
    for one, other in pairwise(chain):
        same = (one.value.life, one.value.n) == (other.value.life, other.value.n)
        keys_differ = one.value.life == other.value.life and one.kid not in (other.kid, "")
        if same or (keys_differ and one.value.next != other.kid):
            yield Untrusted("attester-twice", f"{one.value.place} spoke with two voices in life {one.value.life}")


def _gaps(chain: Chain) -> Iterator[Untrusted]:
    for one, other in pairwise(chain):
        if one.value.life == other.value.life and not _follows(one, other.value):
            yield Untrusted("attestation-gap", f"{one.value.place}: {other.value.n} does not follow {one.value.n}")
        elif other.value.life > one.value.life and other.value.n != 1:
            yield Untrusted("attestation-gap", f"{one.value.place}: life {other.value.life} does not begin at 1")


def _follows(one: Held[Attestation], other: Attestation) -> bool:
    chained = (other.n, other.prev) == (one.value.n + 1, sha256_digest(one.text.encode()))
    return chained and other.since == one.value.until


def _no_report_before(chain: Chain, place: str, no: LogEntry) -> list[Untrusted]:
    """The chain must reach back to before the no, or to the very first attestation of the place."""
    first = chain[0].value if chain else None
    whole = first is not None and (first.until <= no.at or (first.life, first.n, first.prev) == (1, 1, FIRST))
    return [] if whole else [Untrusted("attestation-gap", f"{place}: no report from before the no")]


def began_after(chain: Chain, no: LogEntry) -> bool:
    """Whether the place's very first attestation is about a time after the no: it has no trail from before."""
    first = chain[0].value if chain else None
    return first is not None and first.prev == FIRST and (first.life, first.n) == (1, 1) and first.since > no.at


def _life_changed(chain: Chain, no: LogEntry) -> bool:
    before, first = before_no(chain, no), first_applied(chain, no)
    return before is not None and first is not None and before.life != first.life


def before_no(chain: Chain, no: LogEntry) -> Attestation | None:
    """The last attestation about a time that ended before the no."""
    return next((held.value for held in reversed(chain) if held.value.until <= no.at), None)


def first_applied(chain: Chain, no: LogEntry) -> Attestation | None:
    """The first attestation that says the no was in force there."""
    return next((held.value for held in chain if held.value.log.position >= no.seq), None)


def enforcement(case: Case) -> Outcome:
    """Check 11: the lists without a gap, every place on them, and every place that a receipt names."""
    no, listed = the_no(case), sorted(listed_places(case))
    found = [*_list_gaps(case), *_unlisted(case)]
    found += [error for place in listed for error in _stopped(case, place, no)] if no else []
    portable = {place for held in case.lists for place in held.value.portable}
    reason = "no-entry" if no is None else "no-list" if not listed else "portable" if portable else None
    last = max((_applied_at(chain_of(case, place), no) for place in listed), default=0) if no else 0
    facts = {"count": len(listed), "places": ", ".join(listed), "lag": max(0, last - no.at) if no else 0}
    return outcome(found, reason, "portable" if reason == "portable" else None, **facts)


def _list_gaps(case: Case) -> Iterator[Untrusted]:
    lists = sorted(case.lists, key=lambda held: held.value.n)
    for one, other in pairwise(lists):
        if other.value.n != one.value.n + 1 or other.record.index <= one.record.index:
            yield Untrusted("enforcement-missing", f"list {other.value.n} does not follow list {one.value.n}")
    first = min((held.record.index for held in case.receipts), default=None)
    if lists and first is not None and lists[0].record.index > first and lists[0].value.n > 1:
        yield Untrusted("enforcement-missing", "no list from before the first receipt")


def _unlisted(case: Case) -> Iterator[Untrusted]:
    listed = {place for held in case.lists for place in (*held.value.places, *held.value.portable)}
    named = {str(event.get("entity_id")) for held in case.receipts for event in held.value.events}
    for name in sorted(named - {"control-plane"}) if case.lists else ():
        if f"edge/{name}" not in listed:
            yield Untrusted("attester-unlisted", f"a receipt names {name}, which is on no list")


def _stopped(case: Case, place: str, no: LogEntry) -> Iterator[Untrusted]:
    chain = chain_of(case, place)
    if first_applied(chain, no) is None and not _gone_before(chain, no):
        yield Untrusted("enforcement-missing", f"{place} never reported that the no was in force")
    if place not in staying_places(case) and not _left_cleanly(case, chain, place):
        yield Untrusted("attester-left", f"{place} left the list without `stop` and a deletion statement")


def _gone_before(chain: Chain, no: LogEntry) -> bool:
    return bool(chain) and chain[-1].value.kind == "stop" and chain[-1].value.until <= no.at


def _left_cleanly(case: Case, chain: Chain, place: str) -> bool:
    stopped = bool(chain) and chain[-1].value.kind == "stop"
    return stopped and any(held.value.place == place for held in case.deletions)


def _applied_at(chain: Chain, no: LogEntry) -> int:
    """By this place's clock, when the no was in force."""
    times = [at for held in chain for through, at in held.value.log.applied if through >= no.seq]
    return min(times, default=0)


def personalised(case: Case) -> Outcome:
    """Check 12: each place's own search of its own trails, between heads that it had attested."""
    no = the_no(case)
    searched = {held.value.place: held.value for held in case.searches if no and held.value.seq == no.seq}
    found = [error for search in searched.values() for error in _searched(case, search, no)] if no else []
    owing = {place for place in staying_places(case) if no and not began_after(chain_of(case, place), no)}
    missing = sorted(owing - searched.keys())
    counts = {
        "before": sum(search.personalised_before_applied for search in searched.values()),
        "records": sum(search.records for search in searched.values()),
        "places": ", ".join(missing or sorted(searched)),
    }
    reason = "no-entry" if no is None else "no-search" if missing or not searched else None
    return outcome(found, reason, "enforced" if reason == "no-search" else None, **counts)


def _searched(case: Case, search: Search, no: LogEntry) -> Iterator[Untrusted]:
    chain = chain_of(case, search.place)
    last, before = attested(chain, search.after), before_no(chain, no)
    if search.personalised_after:
        yield Untrusted("personalised-after", f"{search.place}: {search.personalised_after} records after the no")
    if last is None:
        yield Untrusted("statement-after", f"{search.place} names an attestation that is not in the file")
        return
    for writer in sorted(_trails(chain, before, last) - search.trails.keys()):
        yield Untrusted("trail-uncovered", f"{search.place} did not search the trail {writer}")
    for writer, span in search.trails.items():
        start = NO_RECORD if before is None else before.audit.get(writer, NO_RECORD)
        if span != (start, last.audit.get(writer)):
            yield Untrusted("head-mismatch", f"{search.place}: the trail {writer} was not searched from head to head")


def attested(chain: Chain, after: After | None) -> Attestation | None:
    """The attestation that a statement names, by life, number and digest."""
    for held in chain:
        digest = sha256_digest(held.text.encode())
        if after is not None and (held.value.life, held.value.n, digest) == (after.life, after.n, after.hash):
            return held.value
    return None


def _trails(chain: Chain, before: Attestation | None, last: Attestation) -> set[str]:
    """Every trail that the place attested from the last interval before the no to the statement."""
    start = (0, 0) if before is None else (before.life, before.n)
    span = [held.value for held in chain if start <= (held.value.life, held.value.n) <= (last.life, last.n)]
    return {writer for attestation in span for writer in attestation.audit}
