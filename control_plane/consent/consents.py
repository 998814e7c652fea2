"""Grant, refresh, withdraw and look: the four things that can happen to a visitor's consent.

Each is one transaction. A change raises `ver` by one; whatever it takes back becomes an entry of the revocation log
in the same transaction, so that a token of a lower `ver` cannot outlive it anywhere.

    grant     rotates the session; an unknown, deleted or stranded session begins a new identity
    refresh   a new token, never wider than the record; an opt-out signal that the law honours is kept as a change
    withdraw  also by a session that was rotated away; counted once per idempotency key
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Rejected
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.consent import (
    RETENTION_S,
    ConsentAnswer,
    ConsentRequest,
    RefreshRequest,
    WithdrawalRequest,
    write_request,
)
from consent_core.formats.token import CATEGORIES
from control_plane.consent import records, sessions
from control_plane.consent.receipts import Receipts
from control_plane.consent.records import Record, Visitor
from control_plane.consent.tokens import TokenIssuer
from control_plane.log.log import RevocationLog, Writing
from control_plane.policies.current import Circumstances, Policies, Policy
from control_plane.queue import RETRAIN, put
from control_plane.store.database import Database
from control_plane.store.schema import withdrawals

_SEEN = select(withdrawals.c.request).where(withdrawals.c.idempotency_key == bindparam("key"))
_REMEMBER = insert(withdrawals)


@dataclass(frozen=True, slots=True)
class Consents:
    """The consent records of one store. `retention_s`: how long a choice, and the cookie for it, holds."""

    database: Database
    log: RevocationLog
    policies: Policies
    tokens: TokenIssuer
    receipts: Receipts
    clock: Clock
    retention_s: int

    def grant(self, request: ConsentRequest) -> ConsentAnswer:
        """Record what a person chose, or was told.

        Raises: Rejected("session-rotated" | "version-conflict" | "session-reused", 409), Rejected("clause-unknown").
        """
        try:
            with self.log.writing() as writing:
                return self._grant(writing, request)
        except IntegrityError as error:
            raise Rejected("session-reused", "next_session is taken", status=409) from error

    def refresh(self, sub: str | None, request: RefreshRequest) -> ConsentAnswer:
        """A new token for an unchanged record.

        Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403), Rejected("session-rotated", 409).
        """
        with self.database.read() as connection:
            session = self._session(connection, request.session, lock=False)
            record = records.newest(connection, sessions.require_current(session, sub).sub)
            policy = self.policies.current(connection)
        if _taken_by_signal(policy, record, request):
            record = self._note_signal(request)
        return self._answer(policy, record, _here(record, request), request.pop)

    def withdraw(self, sub: str | None, request: WithdrawalRequest) -> ConsentAnswer:
        """Take categories back.

        The answer carries no token: who holds a session that was rotated away may say no, and gets nothing for it.

        Raises: Rejected("session-unknown", 404), Rejected("session-foreign", 403),
                Rejected("idempotency-conflict", 409).
        """
        try:
            with self.log.writing() as writing:
                return self._state(self._withdraw(writing, sub, request))
        except IntegrityError as error:
            raise _conflict() from error

    def look(self, sub: str | None, session: str) -> ConsentAnswer:
        """The record in force, without a token. Raises: as `refresh`."""
        with self.database.read() as connection:
            found = self._session(connection, session, lock=False)
            record = records.newest(connection, sessions.require_current(found, sub).sub)
        return self._state(record)

    def take_back(self, writing: Writing, visitor: Visitor, categories: Iterable[str], region: str) -> Record:
        """Withdraw categories of a visitor inside a transaction; nothing changes if there is nothing to take."""
        record = records.newest(writing.connection, visitor.sub)
        held = {*record.choices, *record.categories}
        taken = tuple(category for category in CATEGORIES if category in categories and category in held)
        if not taken:
            return record
        choices = tuple(category for category in record.choices if category not in taken)
        policy = self.policies.current(writing.connection)
        decided = policy.decide(_as_recorded(record), choices)
        changed = replace(
            record,
            ver=record.ver + 1,
            source="withdrawal",
            choices=choices,
            categories=_within(decided.categories, record.categories, choices),
            reasons=decided.reasons,
            region=region,
            policy_hash=policy.hash,
        )
        return self._store(writing, visitor, changed, taken, policy.notice(record.jurisdiction))

    def _withdraw(self, writing: Writing, sub: str | None, request: WithdrawalRequest) -> Record:
        session = self._session(writing.connection, request.session, lock=True)
        visitor = self._visitor(writing.connection, sessions.require_owner(session, sub).sub)
        if _seen(writing.connection, request):
            return records.newest(writing.connection, visitor.sub)
        wanted = CATEGORIES if request.categories is None else request.categories
        record = self.take_back(writing, visitor, wanted, request.pop)
        _remember(writing.connection, request, record, self.clock.now())
        crash_point("consent.withdrawal-remembered")
        return record

    def _grant(self, writing: Writing, request: ConsentRequest) -> ConsentAnswer:
        connection, now = writing.connection, self.clock.now()
        policy = self.policies.current(connection)
        session = None if request.session is None else self._session(connection, request.session, lock=True)
        repeated = self._repeated(connection, request)
        if repeated is not None:
            return self._answer(policy, repeated, _stated(request), request.pop)
        if session is not None and request.source == "grant" and sessions.is_stranded(connection, session, now):
            session = None
        if session is not None:
            sessions.require_current(session)
            _require_choice(request)
        visitor = records.new_visitor(0) if session is None else self._visitor(connection, session.sub)
        before = None if session is None else records.newest(connection, visitor.sub)
        if before is not None and request.expected_ver not in (None, before.ver):
            raise Rejected("version-conflict", f"the record is at version {before.ver}", status=409)
        record = self._decided(policy, visitor, request)
        taken = () if before is None else _lost(before, record)
        visitor = replace(visitor, retain_until=now + self.retention_s)
        notice = policy.notice(request.jurisdiction, request.clause_id)
        record = self._store(writing, visitor, record, taken, notice)
        old = None if session is None else session.session
        sessions.rotate(connection, old, request.next_session, visitor.sub, now)
        crash_point("consent.session-rotated")
        return self._answer(policy, record, _stated(request), request.pop)

    def _repeated(self, connection: Connection, request: ConsentRequest) -> Record | None:
        """The record that this very request made before, if its answer was lost on the way."""
        made = self._session(connection, request.next_session, lock=True)
        if made is None:
            return None
        record = records.newest(connection, made.sub)
        same = (made.predecessor, made.successor, record.source) == (request.session, None, request.source)
        if not same or (request.source == "grant" and record.choices != request.choices):
            raise Rejected("session-reused", "next_session is taken", status=409)
        return record

    def _decided(self, policy: Policy, visitor: Visitor, request: ConsentRequest) -> Record:
        """The next version, as policy sees what was chosen or, after notice, what the law allows without a choice."""
        here = _stated(request)
        choices = CATEGORIES if request.source == "notice" else request.choices
        decided = policy.decide(here, choices)
        return Record(
            sub=visitor.sub,
            ver=visitor.ver + 1,
            source=request.source,
            basis=here.basis,
            choices=decided.categories if request.source == "notice" else choices,
            categories=decided.categories,
            reasons=decided.reasons,
            jurisdiction=request.jurisdiction,
            gpc=request.gpc,
            gpc_honoured=decided.gpc_honoured,
            age_band=request.age_band,
            region=request.pop,
            policy_hash=policy.hash,
            revoked=False,
            receipt="",
            at=0,
        )

    def _note_signal(self, request: RefreshRequest) -> Record:
        """Keep an opt-out signal as a change of the record: its absence later is no consent (11 CCR 7025(c))."""
        with self.log.writing() as writing:
            session = self._session(writing.connection, request.session, lock=True)
            visitor = self._visitor(writing.connection, sessions.require_current(session).sub)
            record = records.newest(writing.connection, visitor.sub)
            policy = self.policies.current(writing.connection)
            taken = _taken_by_signal(policy, record, request)
            if not taken:
                return record
            decided = policy.decide(_here(record, request), record.choices)
            changed = replace(
                record,
                ver=record.ver + 1,
                source="gpc",
                categories=tuple(category for category in record.categories if category not in taken),
                reasons={**record.reasons, **{category: decided.reasons[category] for category in taken}},
                gpc=True,
                gpc_honoured=True,
                region=request.pop,
                policy_hash=policy.hash,
            )
            return self._store(writing, visitor, changed, taken, policy.notice(request.jurisdiction))

    def _store(
        self, writing: Writing, visitor: Visitor, record: Record, taken: tuple[str, ...], notice: Mapping[str, str]
    ) -> Record:
        """Write the version with its receipt, and the entry that enforces what it takes back."""
        record = replace(record, at=self.clock.now(), revoked=bool(taken))
        record = replace(record, receipt=self.receipts.issue(visitor, record, notice))
        records.store(writing.connection, visitor, record)
        writing.leaves.receipt(writing.connection, record.receipt, visitor.subject)
        crash_point("consent.record-stored")
        if taken:
            entry = writing.append("session", visitor.subject, taken, record.ver)
            if "behavioral" in taken:
                put(
                    writing.connection,
                    RETRAIN,
                    f"{entry.seq}",
                    {"subject": visitor.subject, "seq": entry.seq},
                    entry.at,
                )
        return record

    def _answer(self, policy: Policy, record: Record, here: Circumstances, pop: str) -> ConsentAnswer:
        decided = policy.decide(here, record.choices)
        categories = _within(decided.categories, record.categories, record.choices)
        reasons = {**decided.reasons, **{c: record.reasons[c] for c in decided.categories if c not in categories}}
        state = replace(
            self._state(record),
            categories=categories,
            reasons=reasons,
            gpc_honoured=decided.gpc_honoured or record.gpc_honoured,
        )
        if not categories:  # a person with nothing effective is not followed by a token either
            return state
        issued = self.tokens.issue(record.sub, record.ver, categories, pop, policy.hash)
        return replace(state, token=issued.text, expires_at=issued.expires_at)

    def _state(self, record: Record) -> ConsentAnswer:
        """The record as it is, without a token."""
        return ConsentAnswer(
            sub=record.sub,
            ver=record.ver,
            token=None,
            expires_at=None,
            choices=record.choices,
            categories=record.categories,
            reasons=record.reasons,
            source=record.source,
            revoked=record.revoked,
            gpc_honoured=record.gpc_honoured,
            receipt=record.receipt,
            retention={**RETENTION_S, "consent": self.retention_s},
        )

    def _session(self, connection: Connection, session: str, *, lock: bool) -> sessions.Session | None:
        return sessions.find(connection, session, self.clock.now(), lock=lock)

    def _visitor(self, connection: Connection, sub: str) -> Visitor:
        visitor = records.find_visitor(connection, sub=sub)
        if visitor is None:
            raise Rejected("session-unknown", "never issued, or deleted", status=404)
        return visitor


def _stated(request: ConsentRequest) -> Circumstances:
    basis = "notice" if request.source == "notice" else "consent"
    return Circumstances(request.jurisdiction, request.gpc, request.age_band, basis)


def _require_choice(request: ConsentRequest) -> None:
    """Notice is for who has not been asked yet: it never overrides what a person decided."""
    if request.source == "notice":
        raise Rejected("consent-recorded", "this visitor has a record; refresh instead", status=409)


def _as_recorded(record: Record) -> Circumstances:
    return Circumstances(record.jurisdiction, record.gpc, record.age_band, record.basis)


def _here(record: Record, request: RefreshRequest) -> Circumstances:
    """The visitor where they are now. What a signal took before stays taken: the record no longer has it."""
    return Circumstances(request.jurisdiction, request.gpc, record.age_band, record.basis)


def _within(categories: Iterable[str], *limits: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(category for category in categories if all(category in limit for limit in limits))


def _lost(before: Record, after: Record) -> tuple[str, ...]:
    """What a grant takes back: chosen before and now not, or effective before and now not."""
    lost = (set(before.choices) - set(after.choices)) | (set(before.categories) - set(after.categories))
    return tuple(category for category in CATEGORIES if category in lost)


def _taken_by_signal(policy: Policy, record: Record, request: RefreshRequest) -> tuple[str, ...]:
    """What the record still allows and this request's opt-out signal ends."""
    if not request.gpc or record.gpc_honoured:
        return ()
    here = _here(record, request)
    with_signal = policy.decide(here, record.choices).categories
    without = policy.decide(replace(here, gpc=False), record.choices).categories
    return tuple(c for c in record.categories if c in without and c not in with_signal)


def _seen(connection: Connection, request: WithdrawalRequest) -> bool:
    """Whether this withdrawal has been counted. Raises: Rejected("idempotency-conflict", 409)."""
    seen = connection.scalar(_SEEN, {"key": request.idempotency_key})
    if seen is not None and seen != _fingerprint(request):
        raise _conflict()
    return seen is not None


def _conflict() -> Rejected:
    return Rejected("idempotency-conflict", "the key was used for another withdrawal", status=409)


def _remember(connection: Connection, request: WithdrawalRequest, record: Record, now: int) -> None:
    values = {"idempotency_key": request.idempotency_key, "sub": record.sub, "request": _fingerprint(request)}
    connection.execute(_REMEMBER, {**values, "ver": record.ver, "at": now})


def _fingerprint(request: WithdrawalRequest) -> str:
    return sha256_digest(write_request(request))
