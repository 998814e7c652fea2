"""Who may ask for what, and what becomes of a request besides its steps: waiting, cancelling, holding, amending.

| shown | objection, restriction | deletion | access, portability, rectification |
|---|---|---|---|
| the session's grant credential | at once | at once | at once; an answer once a day, not within 24 h of a rotation |
| a receipt alone | at once | after 10 days that the session can cancel it in | never |
| the name and note of who verified it | at once | at once | at once |

Of two open requests of one kind by one person there is one: the second asker gets the first, without its secret.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.formats.consent import AGE_BAND, bad_request
from consent_core.formats.fields import JURISDICTION, Fields
from consent_core.formats.receipt import open_receipt
from consent_core.formats.subject import subject_of
from consent_core.trust.keys import KeyStore
from consent_core.trust.sealing import new_secret, public_of
from control_plane.consent import records
from control_plane.consent import sessions as session_rows
from control_plane.dsar import store
from control_plane.dsar.closing import Closings
from control_plane.dsar.correcting import MEMBERS
from control_plane.dsar.csv_file import RequestList
from control_plane.dsar.deadlines import Deadlines
from control_plane.dsar.holding import RESTRICTION
from control_plane.dsar.register import Register
from control_plane.dsar.steps import FINAL, KINDS
from control_plane.dsar.store import Request
from control_plane.log.log import RevocationLog
from control_plane.proofs.store import ProofStore
from control_plane.store.schema import sessions

DAY_S = 86_400
RECEIPT_WAIT_S = 10 * DAY_S
ANSWERS = ("access", "portability")
BY_RECEIPT = ("objection", "restriction", "deletion")
SESSION, RECEIPT = "session", "receipt"
VERIFIERS = ("guardian", "agent", "operator")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked. wish: what an objection or a rectification is about."""

    kind: str
    wish: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """The request and, for who made it, its secret: shown here and never again."""

    request: Request
    secret: str | None


@dataclass(frozen=True, slots=True)
class Intake:
    """The intake of one deployment."""

    log: RevocationLog
    proofs: ProofStore
    keys: KeyStore
    register: Register
    deadlines: Deadlines
    closings: Closings
    listed: RequestList
    clock: Clock

    def by_session(self, wanted: Wanted, grant: str, legacy: str | None) -> Opened:
        """By who presents the session's grant credential.

        Raises: Rejected("session-unknown", 404), Rejected("session-rotated", 409), Rejected("request-too-soon", 429).
        """
        with self.log.writing() as writing:
            connection, now = writing.connection, self.clock.now()
            found = session_rows.find(connection, grant, legacy, now, lock=True)
            session = session_rows.require_current(found)
            visitor = records.visitor(connection, session.sub)
            if wanted.kind in ANSWERS:
                self._require_settled(connection, session.session)
                self._require_first_today(connection, visitor.subject)
            opened = self._open(connection, wanted, visitor.subject, SESSION, "", now)
        return self._told(opened)

    def by_receipt(self, wanted: Wanted, receipt: str) -> Opened:
        """By who shows a receipt: anybody may hold a copy. Raises: Rejected("request-verification", 403)."""
        subject = open_receipt(receipt, self.keys.trust_file(), self.log.revoked_keys()).pii_principal_id
        if wanted.kind not in BY_RECEIPT:
            raise Rejected("request-verification", "a receipt alone does not show who asks", status=403)
        now = self.clock.now()
        confirmed_at = now + RECEIPT_WAIT_S if wanted.kind == "deletion" else now
        with self.log.writing() as writing:
            opened = self._open(writing.connection, wanted, subject, RECEIPT, "", confirmed_at)
        return self._told(opened)

    def by_operator(self, wanted: Wanted, subject: str, verified_by: str, verifier: str) -> Opened:
        """By somebody whom an operator verified, with their own name and note."""
        _require_verifier(verified_by, verifier)
        with self.log.writing() as writing:
            opened = self._open(writing.connection, wanted, subject, verified_by, verifier, self.clock.now())
        return self._told(opened)

    def verify(self, request: str, verified_by: str, verifier: str) -> Request:
        """Somebody was verified after they asked: what waits begins now.

        Raises: Rejected("request-verification", 403), Rejected("request-unknown", 404), Rejected("request-final", 409).
        """
        _require_verifier(verified_by, verifier)
        with self.log.writing() as writing:
            found = self._required(writing.connection, request)
            if found.state != store.WAITING:
                raise Rejected("request-final", "it does not wait for anybody to be verified", status=409)
            who = {"verified_by": verified_by, "verifier": verifier}
            store.change(writing.connection, request, state=store.OPEN, confirmed_at=self.clock.now(), **who)
        return self._changed(request)

    def cancel(self, request: str, by: str = "") -> Request:
        """Take a request back, as long as nothing final was done. by: the operator and their note.

        Raises: Rejected("request-unknown", 404), Rejected("request-final", 409).
        """
        with self.log.writing() as writing:
            found = self._required(writing.connection, request)
            rows = store.steps_of(writing.connection, request)
            final = any(row.step == FINAL and row.done for row in rows) or self.register.holds(request)
            if found.state not in store.ACTIVE or final:
                raise Rejected("request-final", "it is done, or too far to be taken back", status=409)
            said = [{"at": self.clock.now(), "by": by, "before": found.state}] if by else []
            over = {"state": store.REVOKED, "closed_at": self.clock.now(), "amended": [*found.amended, *said]}
            store.change(writing.connection, request, held_by="", **over)
        return self._changed(request)

    def amend(self, request: str, wish: Mapping[str, Any], by: str) -> Request:
        """Ask for something else than before; what was asked stays in the row. Raises: as `cancel`."""
        with self.log.writing() as writing:
            found = self._required(writing.connection, request)
            rows = store.steps_of(writing.connection, request)
            if found.state not in store.ACTIVE or any(row.done for row in rows if row.step not in ("verify",)):
                raise Rejected("request-final", "it is under way: cancel it and ask anew", status=409)
            amended = [*found.amended, {"at": self.clock.now(), "by": by, "before": dict(found.wish)}]
            store.change(writing.connection, request, wish=_wish(Wanted(found.kind, wish)), amended=amended)
        return self._changed(request)

    def hold(self, request: str, by: str, lifted_by: str = "") -> Request:
        """Forbid, by name, that this person's data goes; "" lifts it. Raises: Rejected("request-unknown", 404)."""
        with self.log.writing() as writing:
            found = self._required(writing.connection, request)
            amended = [
                *found.amended,
                {"at": self.clock.now(), "by": by or f"lifted {lifted_by}".strip(), "before": found.held_by},
            ]
            store.change(writing.connection, request, held_by=by, amended=amended)
        return self._changed(request)

    def _open(
        self, connection: Connection, wanted: Wanted, subject: str, verified_by: str, verifier: str, confirmed_at: int
    ) -> Opened:
        visitor = records.find_visitor(connection, subject=subject)
        if wanted.kind not in KINDS:
            raise Rejected("request-kind", f"expected one of {', '.join(KINDS)}")
        if visitor is None:
            raise Rejected("visitor-unknown", "no such visitor", status=404)
        handle, now = self.proofs.handle(subject), self.clock.now()
        known = [one for one in store.of_person(connection, handle) if one.state in store.ACTIVE]
        same = next((one for one in known if one.kind == wanted.kind), None)
        if same is not None:
            return self._again(connection, same, verified_by, confirmed_at)
        request = self._request(connection, wanted, subject, visitor.sub, confirmed_at)
        request = replace(request, verified_by=verified_by, verifier=verifier, handle=handle)
        secret = new_secret()
        request = replace(request, public_key=public_of(secret))
        store.add(connection, request, now)
        self.closings.state(connection, request, subject)
        return Opened(request, secret)

    def _again(self, connection: Connection, first: Request, verified_by: str, confirmed_at: int) -> Opened:
        """The first one; a better verification ends its waiting."""
        if first.verified_by == RECEIPT and verified_by != RECEIPT:
            store.change(connection, first.id, state=store.OPEN, verified_by=verified_by, confirmed_at=confirmed_at)
        found = store.find(connection, first.id)
        assert found is not None
        return Opened(found, None)

    def _request(self, connection: Connection, wanted: Wanted, subject: str, sub: str, confirmed_at: int) -> Request:
        now, jurisdiction = self.clock.now(), records.newest(connection, sub).jurisdiction
        due = self.deadlines.due(jurisdiction, wanted.kind, now)
        sealed = self.proofs.seal(subject, subject.encode("ascii"))
        if sealed is None:
            raise Rejected("visitor-unknown", "no such visitor (any more)", status=404)
        name = _new_id(now)
        return Request(
            id=name,
            kind=wanted.kind,
            state=store.OPEN if confirmed_at <= now else store.WAITING,
            reason="",
            jurisdiction=jurisdiction,
            received_at=now,
            confirmed_at=confirmed_at,
            due_at=due.at,
            binding=due.binding,
            verified_by="",
            verifier="",
            handle="",
            subject=sealed,
            pseudonym=self.register.pseudonym(name, subject),
            wish=_wish(wanted),
            public_key=b"",
            held_by=RESTRICTION if wanted.kind == "restriction" else "",
        )

    def _require_settled(self, connection: Connection, session: str) -> None:
        """A stolen cookie that was rotated opens nothing before the other browser could notice."""
        row = connection.execute(select(sessions).where(sessions.c.session == session)).one()
        if row.predecessor is not None and self.clock.now() - row.at < DAY_S:
            raise Rejected("request-too-soon", "this session is younger than a day: ask again then", status=429)

    def _require_first_today(self, connection: Connection, subject: str) -> None:
        since = self.clock.now() - DAY_S
        asked = store.of_person(connection, self.proofs.handle(subject))
        done = [
            one for one in asked if one.kind in ANSWERS and one.received_at > since and one.state == store.FULFILLED
        ]
        if done:
            raise Rejected("request-too-soon", "answered already today: ask again tomorrow", status=429)

    def _required(self, connection: Connection, request: str) -> Request:
        found = store.find(connection, request, lock=True)
        if found is None:
            raise Rejected("request-unknown", "no request of that id", status=404)
        return found

    def _changed(self, request: str) -> Request:
        self.listed.write()
        with self.log.reading() as connection:
            return self._required(connection, request)

    def _told(self, opened: Opened) -> Opened:
        self.listed.write()
        return opened


def _require_verifier(verified_by: str, verifier: str) -> None:
    if verified_by not in VERIFIERS or not verifier.strip():
        raise Rejected("request-verification", "expected who verified it, and how", status=403)


def subject_named(sub_or_subject: str) -> str:
    """The log's name of a person who is named by it, or by pseudonym."""
    is_subject = len(sub_or_subject) == 64 and set(sub_or_subject) <= set("0123456789abcdef")
    return sub_or_subject if is_subject else subject_of(sub_or_subject)


def _wish(wanted: Wanted) -> dict[str, Any]:
    """What the kind of request can be about."""
    _require_wish(wanted.wish)
    allowed = {"objection": ("categories",), "rectification": MEMBERS}.get(wanted.kind, ())
    wish = {name: value for name, value in wanted.wish.items() if name in allowed}
    if wanted.kind == "rectification" and not wish:
        raise Rejected("bad-request", f"expected what is to be set right: {', '.join(MEMBERS)}")
    return wish


def _require_wish(wish: Mapping[str, Any]) -> None:
    fields = Fields(dict(wish), bad_request, (), ("categories", *MEMBERS))
    if "categories" in wish:
        fields.categories("categories")
    if "age_band" in wish:
        fields.matching("age_band", AGE_BAND)
    for name, form in (("jurisdiction", JURISDICTION), ("language", _LANGUAGE)):
        if name in wish:
            fields.matching(name, form)


def _new_id(now: int) -> str:
    """The day of receipt and 40 random bits in letters that are not mistaken for each other."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    return f"dsr-{datetime.fromtimestamp(now, UTC):%Y%m%d}-{letters}"
