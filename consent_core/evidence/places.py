"""Checks 10 to 12: who reported without a gap, who had stopped, and what was personalised after it.

A *place* is a POP by its leaf name, `edge/tokyo-1`. The *no* is the newest withdrawal of the file, or else its purge.
"""

from collections.abc import Iterable, Iterator
from itertools import dropwhile, pairwise

from consent_core.errors import Untrusted
from consent_core.evidence.bodies import LogEntry
from consent_core.evidence.ledger import LATE_S, PROMPT_S
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
        found += [] if no is None else _no_report_before(case, chain_of(case, place), place, no)
    changed = [place for place in places if no is not None and _life_changed(chain_of(case, place), no)]
    late = [place for place in places if no is not None and _witnessed_late(chain_of(case, place), no)]
    weak = "life" if changed else "late" if late else None
    reason = "no-entry" if no is None else "no-list" if not places else weak
    return outcome(found, reason, None, places=", ".join(changed or late or places), count=len(places))


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
        elif other.value.life > one.value.life and not _begins_after(one, other.value):
            yield Untrusted("attestation-gap", f"{one.value.place}: life {other.value.life} hides what was before it")


def _follows(one: Held[Attestation], other: Attestation) -> bool:
    chained = (other.n, other.prev) == (one.value.n + 1, sha256_digest(one.text.encode()))
    return chained and other.since == one.value.until


def _begins_after(one: Held[Attestation], other: Attestation) -> bool:
    """Whether the first of a life names the last one before it."""
    return (other.n, other.prev) == (1, sha256_digest(one.text.encode()))


def _no_report_before(case: Case, chain: Chain, place: str, no: LogEntry) -> list[Untrusted]:
    """The chain must reach back to before the no, or to the first attestation of a place that was just listed."""
    first = chain[0].value if chain else None
    begins = first is not None and (first.since <= no.at or _listed_at(case, place, no) >= no.at - PROMPT_S)
    whole = first is not None and (first.until <= no.at or (_is_first(first) and begins))
    return [] if whole else [Untrusted("attestation-gap", f"{place}: no report from before the no")]


def _listed_at(case: Case, place: str, no: LogEntry) -> int:
    """When a list of the file first named the place, by its own date or the witnesses', whichever is earlier."""
    naming = [held for held in case.lists if place in held.value.places]
    return min((min(held.at, held.witnessed or held.at) for held in naming), default=no.at)


def _is_first(attestation: Attestation) -> bool:
    """Whether it says that it is the very first of its place."""
    return (attestation.life, attestation.n, attestation.prev) == (1, 1, FIRST)


def began_after(chain: Chain, no: LogEntry) -> bool:
    """Whether the place's very first attestation is about a time after the no: it has no trail from before."""
    first = chain[0].value if chain else None
    return first is not None and _is_first(first) and first.since > no.at


def _life_changed(chain: Chain, no: LogEntry) -> bool:
    """Whether a store was lost between the no and its report, or later one that had not applied it came back."""
    before, first = before_no(chain, no), first_applied(chain, no)
    around = before is not None and first is not None and before.life != first.life
    return around or (first is not None and any(one.life != first.life for one in _undone(chain, no)))


def _undone(chain: Chain, no: LogEntry) -> list[Attestation]:
    """Attestations after the first that applied the no, which say that it is not in force."""
    after = dropwhile(lambda one: one.log.position < no.seq, (held.value for held in chain))
    return [one for one in after if one.log.position < no.seq]


def _witnessed_late(chain: Chain, no: LogEntry) -> bool:
    """Whether witnesses saw the reports around the no more than a day after the time that they are about."""
    before, first = before_no(chain, no), first_applied(chain, no)
    around = [held for held in chain if held.value in (before, first)]
    return any(held.witnessed is not None and held.witnessed - held.value.until > LATE_S for held in around)


def before_no(chain: Chain, no: LogEntry) -> Attestation | None:
    """The last attestation about a time that ended before the no."""
    return next((held.value for held in reversed(chain) if held.value.until <= no.at), None)


def first_applied(chain: Chain, no: LogEntry) -> Attestation | None:
    """The first attestation that says the no was in force there."""
    return next((held.value for held in chain if held.value.log.position >= no.seq), None)


def enforcement(case: Case) -> Outcome:
    """Check 11: the lists without a gap, every place on them, and every place that a receipt names."""
    no, listed = the_no(case), sorted(listed_places(case))
    found = [*_list_gaps(case), *_unlisted(case), *(_logs_differ(case, listed, no) if no else ())]
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
    if any(one.life == _life_of(chain, no) for one in _undone(chain, no)):
        yield Untrusted("enforcement-missing", f"{place} reported that the no was in force, and later that it was not")
    if place not in staying_places(case) and not _left_cleanly(case, chain, place):
        yield Untrusted("attester-left", f"{place} left the list without `stop` and a deletion statement")


def _life_of(chain: Chain, no: LogEntry) -> int:
    first = first_applied(chain, no)
    return 0 if first is None else first.life


def _logs_differ(case: Case, listed: Iterable[str], no: LogEntry) -> Iterator[Untrusted]:
    """The number of an entry means the same only in one log."""
    applied = [first_applied(chain_of(case, place), no) for place in listed]
    if len({one.log.origin for one in applied if one is not None}) > 1:
        yield Untrusted("enforcement-missing", "the places applied entries of more than one log")


def _gone_before(chain: Chain, no: LogEntry) -> bool:
    return bool(chain) and chain[-1].value.kind == "stop" and chain[-1].value.until <= no.at


def _left_cleanly(case: Case, chain: Chain, place: str) -> bool:
    stopped = bool(chain) and chain[-1].value.kind == "stop"
    return stopped and any(held.value.place == place for held in case.deletions)


def _applied_at(chain: Chain, no: LogEntry) -> int:
    """By this place's clock, when the no was in force: as its reports tell, or else at the end of the first one."""
    told, first = told_applied(chain, no), first_applied(chain, no)
    return told if told is not None else first.until if first is not None else 0


def told_applied(chain: Chain, no: LogEntry) -> int | None:
    """When the no was in force, as the place's reports tell."""
    pages = [page for held in chain for page in held.value.log.applied if page[0] >= no.seq]
    return min(pages)[1] if pages else None


def personalised(case: Case) -> Outcome:
    """Check 12: each place's own search of its own trails, between heads that it had attested."""
    no = the_no(case)
    searched = {held.value.place: held.value for held in case.searches if no and held.value.seq == no.seq}
    found = [*_personal_after(case)]
    found += [error for search in searched.values() for error in _searched(case, search, no)] if no else []
    owing = {place for place in staying_places(case) if no and not began_after(chain_of(case, place), no)}
    missing = sorted(owing - searched.keys())
    counts = {
        "before": sum(search.personalised_before_applied for search in searched.values()),
        "records": sum(search.records for search in searched.values()),
        "places": ", ".join(missing or sorted(searched)),
    }
    reason = "no-entry" if no is None else "no-search" if missing or not searched else None
    return outcome(found, reason, "enforced" if reason == "no-search" else None, **counts)


def _personal_after(case: Case) -> Iterator[Untrusted]:
    """Every search of the file counts, also one that a later one would replace."""
    for search in (held.value for held in case.searches if held.value.personalised_after):
        yield Untrusted("personalised-after", f"{search.place}: {search.personalised_after} records after the no")


def _searched(case: Case, search: Search, no: LogEntry) -> Iterator[Untrusted]:
    chain = chain_of(case, search.place)
    last, before = attested(chain, search.after), before_no(chain, no)
    if last is None or last.log.position < no.seq:
        yield Untrusted("statement-after", f"{search.place} names no attestation that says the no is in force")
        return
    told = told_applied(chain, no)
    if told is not None and search.applied_at > told:
        yield Untrusted("personalised-after", f"{search.place} counts {search.applied_at - told} s after it as before")
    for writer in sorted(trails_between(chain, before, last) - search.trails.keys()):
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


def trails_between(chain: Chain, before: Attestation | None, last: Attestation) -> set[str]:
    """Every trail that the place attested from the last interval before the no to the statement."""
    start = (0, 0) if before is None else (before.life, before.n)
    span = [held.value for held in chain if start <= (held.value.life, held.value.n) <= (last.life, last.n)]
    return {writer for attestation in span for writer in attestation.audit}
