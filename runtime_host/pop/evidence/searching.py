"""Searches this POP's own sealed trails for what was personalised after a no, and says what it found.

    made = Searcher(attester, store, clock, trails, provider).state()      # one pass over each trail for all of them

From the head of the last attestation about a time before the no, to the head of the one that says the no is in force:
both are published before anybody asks. Only records of versions that the no took back count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consent_core.audit.reader import AuditRecord, read_span
from consent_core.clock import Clock
from consent_core.evidence.places import NO_RECORD
from consent_core.formats.statement import After, Search, sign_statement
from consent_core.formats.subject import subject_of
from consent_core.trust.providers import KeyProvider
from runtime_host.pop.evidence.attesting import Attester
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.attested import Attested, OwedSearch


@dataclass
class Found:
    """What the trails say of one no so far. `trails`: span by writer."""

    trails: dict[str, tuple[str, str]] = field(default_factory=dict)
    records: int = 0
    of_person: int = 0
    before: int = 0
    after: int = 0


class Searcher:
    """The searches of one POP. `trails`: the folder that holds a trail per writer."""

    def __init__(self, attester: Attester, store: PopStore, clock: Clock, trails: Path, provider: KeyProvider) -> None:
        self._attester = attester
        self._clock = clock
        self._store = store
        self._trails = trails
        self._provider = provider

    def state(self) -> int:
        """Make the statement of every no that the newest attestation says is in force; how many.

        Raises: Untrusted for a trail that is not what was attested, Unavailable.
        """
        newest = self._store.attested.newest()
        owed = () if newest is None else self._store.attested.owed(newest.position)
        if newest is None or not owed:
            return 0
        found = self._pass(owed, newest)
        self._store.attested.state({no.seq: self._statement(no, newest, found[no.seq]) for no in owed})
        return len(owed)

    def _pass(self, owed: Sequence[OwedSearch], newest: Attested) -> dict[int, Found]:
        found = {no.seq: Found() for no in owed}
        spans: dict[tuple[str, str, str], list[OwedSearch]] = {}
        for no in owed:
            for writer, (start, end) in self._span(no, newest).items():
                found[no.seq].trails[writer] = (start, end)
                spans.setdefault((writer, start, end), []).append(no)
        for (writer, start, end), noes in spans.items():
            for record in read_span(self._trails / writer, self._provider, start, end):
                _count(record, noes, found)
        return found

    def _span(self, no: OwedSearch, newest: Attested) -> Mapping[str, tuple[str, str]]:
        before = self._store.attested.newest(before=no.said_at)
        heads = {} if before is None else before.heads
        return {writer: (heads.get(writer, NO_RECORD), end) for writer, end in newest.heads.items()}

    def _statement(self, no: OwedSearch, newest: Attested, found: Found) -> str:
        statement = Search(
            iss=self._attester.spiffe_id,
            iat=self._clock.now(),
            seen=self._attester.seen,
            request="",
            subject=no.subject,
            seq=no.seq,
            after=After(newest.life, newest.n, newest.hash),
            applied_at=no.applied_at,
            trails=found.trails,
            records=found.records,
            of_person=found.of_person,
            personalised_before_applied=found.before,
            personalised_after=found.after,
        )
        return sign_statement(statement, self._attester.key)


def _count(record: AuditRecord, noes: Sequence[OwedSearch], found: Mapping[int, Found]) -> None:
    subject = None if record.person is None or "sub" not in record.person else subject_of(str(record.person["sub"]))
    for no in noes:
        counted = found[no.seq]
        counted.records += 1
        if subject == no.subject:
            counted.of_person += 1
            if _took(record, no):
                counted.before += record.at <= no.applied_at
                counted.after += record.at > no.applied_at


def _took(record: AuditRecord, no: OwedSearch) -> bool:
    """Whether the record shows something of a category, under a version, that the no took back."""
    version = 0 if record.person is None else int(record.person.get("ver", 0))
    return record.fields.get("category") in no.categories and version < no.ver
