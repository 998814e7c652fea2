"""A yes: what a person adds to their record, or was told where the law is opt-out; and the next session for it.

A copy of a yes (the same key of the same visitor) changes nothing and gets a further session of the same predecessor:
whichever answer arrives works, until one of them is presented.
"""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Rejected
from consent_core.formats.consent import ConsentRequest
from control_plane.consent import counted, records, sessions
from control_plane.consent.changes import NOTHING_SAID, Given, Words, give, in_state
from control_plane.consent.judging import judge, reasons_of, within
from control_plane.consent.records import Record
from control_plane.consent.sessions import Next, Session
from control_plane.consent.versions import Denial, Versions
from control_plane.consent.withdrawing import Withdrawing
from control_plane.log.log import Writing
from control_plane.policies.current import Circumstances, Policies, Policy
from control_plane.store.database import lock_name


@dataclass(frozen=True, slots=True)
class Granting:
    """Records yeses, inside a transaction of the caller. `retention_s`: how long a choice holds."""

    policies: Policies
    versions: Versions
    withdrawing: Withdrawing
    clock: Clock
    retention_s: int

    def grant(self, writing: Writing, request: ConsentRequest) -> Record:
        """The record in force after the request, and `request.next_session` for it.

        Raises: Rejected("session-rotated" | "consent-recorded" | "session-reused", 409), Rejected("clause-unknown").
        """
        connection, now = writing.connection, self.clock.now()
        session = self._presented(connection, request)
        sub = self._again(connection, session, request) if session is None else session.sub
        following = Next(request.next_session, request.next_withdraw)
        predecessor = None if session is None else session.session
        if sub is not None and counted.categories_of(connection, sub, counted.YES, request.key) is not None:
            sessions.add_again(connection, following, sub, predecessor, now)
            return records.newest(connection, sub)
        record = self._first(writing, request) if session is None else self._further(writing, request, session)
        counted.remember(connection, record.sub, counted.YES, request.key, request.grant, now)
        sessions.add(connection, following, record.sub, predecessor, now)
        crash_point("consent.session-rotated")
        return record

    def _presented(self, connection: Connection, request: ConsentRequest) -> Session | None:
        """The session of the request, presented. An unknown one is as good as none."""
        if request.session is None:
            return None
        now = self.clock.now()
        session = sessions.find(connection, request.session, request.legacy, now, lock=True)
        if session is None or (session.legacy and session.retired):  # its answer was lost before there were successors
            return None
        return sessions.present(connection, sessions.require_current(session), request.legacy, now)

    def _again(self, connection: Connection, session: Session | None, request: ConsentRequest) -> str | None:
        """Whose first yes this is a copy of. Two copies at the same moment: the second waits for the first."""
        lock_name(connection, f"grant/{request.key}")
        return counted.first_yes(connection, request.key, self.clock.now())

    def _first(self, writing: Writing, request: ConsentRequest) -> Record:
        policy, here = self.policies.current(writing.connection), stated(request)
        visitor = records.new_visitor(self.clock.now() + self.retention_s)
        given = self._of_notice(policy, request) if request.source == "notice" else _of_choice(NOTHING_SAID, 0, request)
        words, basis = given.words, "notice" if request.source == "notice" else "consent"
        decided = judge(policy, here, words, basis)
        record = Record(
            sub=visitor.sub,
            ver=given.ver or max(1, given.said),
            source=request.source,
            basis=basis,
            categories=decided.categories,
            reasons=dict(decided.reasons),
            jurisdiction=request.jurisdiction,
            gpc=request.gpc,
            gpc_honoured=decided.gpc_honoured,
            age_band=request.age_band,
            region=request.pop,
            policy_hash=policy.hash,
            revoked=False,
            receipt="",
            at=0,
            words=words,
            notice=policy.shown(request.clause_id, request.notice_digest),
        )
        return self.versions.store(writing, visitor, record, NOTHING_SAID, Denial())

    def _of_notice(self, policy: Policy, request: ConsentRequest) -> Given:
        """What the law allows after notice alone; never what this browser has refused."""
        told = judge(policy, stated(request), _all_notified(), "notice").categories
        return give(0, NOTHING_SAID, (c for c in told if c not in request.refused), None, "notified")

    def _further(self, writing: Writing, request: ConsentRequest, session: Session) -> Record:
        if request.source == "notice":
            raise Rejected("consent-recorded", "this visitor has a record; refresh instead", status=409)
        connection, here = writing.connection, stated(request)
        visitor = records.visitor(connection, session.sub)
        before = records.newest(connection, session.sub)
        before = self.withdrawing.by_signal(writing, visitor, before, here, request.grant)
        visitor = replace(visitor, ver=before.ver, retain_until=self.clock.now() + self.retention_s)
        given = _of_choice(before.words, before.ver, request)
        if not given.counted:
            return before
        record = self._widened(self.policies.current(connection), before, given, request)
        lost = within(before.categories, set(before.categories) - set(record.categories))
        record = replace(record, revoked=bool(lost))
        denial = Denial({record.ver: lost} if lost else {}, given.said)
        return self.versions.store(writing, visitor, record, before.words, denial)

    def _widened(self, policy: Policy, before: Record, given: Given, request: ConsentRequest) -> Record:
        """The next version: what counted as policy sees it now, the rest as it was, never wider."""
        decided = judge(policy, stated(request), given.words, "consent")
        kept = within(before.categories, set(before.categories) - set(given.counted))
        if request.age_band != before.age_band:
            kept = within(kept, decided.categories)
        categories = within((*kept, *within(decided.categories, given.counted)))
        signalled = bool(in_state(given.words, "signalled"))
        shown = policy.shown(request.clause_id, request.notice_digest)
        record = replace(
            before,
            ver=given.ver,
            source="grant",
            basis="consent",
            categories=categories,
            jurisdiction=request.jurisdiction,
            gpc=request.gpc or signalled,
            gpc_honoured=decided.gpc_honoured or signalled,
            age_band=request.age_band,
            region=request.pop,
            policy_hash=policy.hash,
            words=given.words,
            notice=shown or before.notice,
        )
        return replace(record, reasons=reasons_of(record, decided, categories))


def stated(request: ConsentRequest) -> Circumstances:
    """Where and how the request says that the person was asked."""
    return Circumstances(request.jurisdiction, request.gpc, request.age_band)


def _of_choice(words: Words, ver: int, request: ConsentRequest) -> Given:
    return give(ver, words, request.grant, request.number)


def _all_notified() -> Words:
    return give(0, NOTHING_SAID, NOTHING_SAID, None, "notified").words
