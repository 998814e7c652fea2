"""One POP's stores together: what must happen in one transaction across tables, and nothing else.

    store.apply(entries, origin, place, head, at, raw)  # from the log, judged by `sync`
    store.withdraw(withdrawal)                          # said by the visitor, here and now
    store.sweep(before)                                 # what ran out leaves the disk

What revocation does, per category: `contextual` has nothing stored. `behavioral` deletes the rows and queues a
`retrain` row with the days they came from. `experimental` deletes the rows and leaves the anonymous totals.
A purge deletes everything of the visitor here, puts up a tombstone, and owes a count of every part of the POP that
may hold something of them; `evidence.erasing` sees to that and then has the `purge-receipt` queued.
Applying an entry twice changes nothing. Not knowing something never deletes: only these three methods do.
"""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.formats.log_head import Succession, show_head
from consent_core.formats.revocation import Entry, Point
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.erasures import RECEIPT, Erased, Erasures
from runtime_host.pop.stores.history import History
from runtime_host.pop.stores.outbox import Outbox, Withdrawal
from runtime_host.pop.stores.policies import Policies
from runtime_host.pop.stores.queue import Queue, Row
from runtime_host.pop.stores.raw import ANSWER, Raw
from runtime_host.pop.stores.revocations import DENIAL_KEPT_S, LOCAL, LOG, Change, Revocations, SharedRevocations
from runtime_host.pop.stores.sessions import Sessions
from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.stores.tombstones import Tombstones

RETRAIN = "retrain"


class PopStore:
    """The open `pop.db` of one POP. One thread at a time; every call is short.

    `profile`: parts of the POP beside this file that a purge must empty. `shared_state`: what this process shares with
    the POP's others, None where it is the only one.
    """

    def __init__(self, path: Path, clock: Clock, shared_state: SharedState | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # SQLite gives its log the same mode
        self._clock = clock
        self.database = Database(path)
        self.history = History(self.database, clock)
        self.tombstones = Tombstones(self.database, clock)
        self.sessions = Sessions(self.database, clock)
        self.revocations = (
            Revocations(self.database) if shared_state is None else SharedRevocations(self.database, shared_state)
        )
        self.outbox = Outbox(self.database, clock)
        self.queue = Queue(self.database, clock)
        self.policies = Policies(self.database, clock)
        self.raw = Raw(self.database, clock)
        self.erasures = Erasures(self.database, clock)
        self.profile: tuple[str, ...] = ()

    def apply(
        self, entries: Iterable[Entry], origin: str, place: Point, head: Point, at: int, raw: bytes | None = None
    ) -> tuple[Change, ...]:
        """Put log entries in force and note the place, all in one durable transaction.

        place: the last entry's (a snapshot's `through`). head, at: as the log signed them. raw: the signed answer; it
        is kept if it carries entries.
        """
        entries = tuple(entries)
        with self.database.transaction():
            for entry in entries:
                self._apply(entry)
                crash_point("log-entry-applied")
            if entries and raw is not None:
                self.raw.keep(ANSWER, raw)
            self.revocations.advance(origin, place, head, at, None if raw is None else show_head(raw))
            crash_point("log-before-commit")
        crash_point("log-committed")
        return tuple(Change(e.seq, e.kind, e.subject, e.categories, e.ver, e.at) for e in entries)

    def follow(self, succession: Succession) -> None:
        """Read on in the log that takes the old one's place, and send every "no" again: it counts once."""
        with self.database.transaction():
            self.revocations.follow(succession.new_origin, succession.follow)
            self._send_again()
            crash_point("log-before-following")

    def accept_log(self) -> None:
        """Follow whatever log answers next, from its start: an operator's decision. What was denied stays denied."""
        with self.database.transaction():
            self.revocations.accept_origin()
            self._send_again()

    def withdraw(self, withdrawal: Withdrawal) -> Change | None:
        """Put a "no" in force at this POP and keep it for forwarding, durably, before anyone is answered.

        Returns: the change, or None if this POP cannot know the visitor (the outbox still forwards it).
        Saying it again with the same `key` changes nothing.
        """
        w = withdrawal
        categories = CATEGORIES if w.categories is None else w.categories
        with self.database.transaction():
            new = self.outbox.add(w)
            crash_point("withdrawal-kept")
            if new and w.subject is not None:
                self.revocations.deny(w.subject, categories, w.below, LOCAL, None)
                self.sessions.raise_version(w.subject, w.below)
                self._take_back(w.subject, categories, w.below)
            crash_point("withdrawal-before-commit")
        crash_point("withdrawal-committed")
        if w.subject is None:
            return None
        return Change(None, "session", w.subject, categories, w.below, self._clock.now())

    def forwarded(self, withdrawal: Withdrawal, ver: int) -> None:
        """The control plane has the withdrawal and the visitor's record is at `ver`."""
        w = withdrawal
        categories = CATEGORIES if w.categories is None else w.categories
        until = self._clock.now() + DENIAL_KEPT_S
        with self.database.transaction():
            if w.subject is not None:
                self.revocations.deny(w.subject, categories, ver, LOG, until)
                self.revocations.settle(w.subject, categories, w.below, until)
            self.outbox.close(w.key, "forwarded")

    def refused(self, withdrawal: Withdrawal, code: str) -> None:
        """The control plane will never take the withdrawal. It stays in force here."""
        with self.database.transaction():
            self.outbox.close(withdrawal.key, "refused", code)

    def attest(self, erased: Erased) -> None:
        """Queue the receipt of a purge: every part was counted empty."""
        told = {"seq": erased.seq, "subject": erased.subject, "at": self._clock.now()}
        self.queue.put(RECEIPT, str(erased.seq), {**told, "deleted": erased.deleted, "ends": erased.ends})

    def delivered(self, receipts: Iterable[Row]) -> None:
        """The control plane has these receipts: their visitors leave the queue."""
        with self.database.transaction():
            for row in receipts:
                self.erasures.delivered(row.body["seq"])

    def sweep(self, before: int | None = None) -> None:
        """Delete what ran out and let it leave the disk.

        `before`: Unix seconds up to which denials may end; None, while no signed time is known: none does.
        """
        for part in (self.history, self.tombstones, self.sessions, self.outbox, self.queue, self.raw):
            part.sweep()
        if before is not None:
            self.revocations.sweep(min(before, self._clock.now()))
        self.database.checkpoint()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> "PopStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send_again(self) -> None:
        self.database.run(
            "UPDATE outbox SET state='pending', code=NULL, closed_at=NULL, owner=NULL, claimed_at=NULL"
            " WHERE state='forwarded'"
        )

    def _apply(self, entry: Entry) -> None:
        if entry.kind == "session":
            self.revocations.deny(entry.subject, entry.categories, entry.ver, LOG, entry.at + DENIAL_KEPT_S)
            self.sessions.raise_version(entry.subject, entry.ver)
            self._take_back(entry.subject, entry.categories, entry.ver)
        elif entry.kind == "purge":
            self._erase(entry)
        elif entry.kind in ("key", "model"):
            self.revocations.revoke(entry.kind, entry.subject, entry.at)
        elif entry.kind == "policy":
            self.policies.demand(entry.subject, entry.seq)

    def _take_back(self, subject: str, categories: Iterable[str], below: int) -> None:
        for category in categories:
            if category == "behavioral":
                self._queue_retrain(subject, below)
            self.history.delete(subject, category, below)

    def _queue_retrain(self, subject: str, below: int) -> None:
        days = self.history.days(subject, "behavioral", below)
        if days:
            body = {"subject": subject, "category": "behavioral", "below": below, "days": days}
            self.queue.put(RETRAIN, f"{subject}:behavioral:{below}", body)

    def _erase(self, entry: Entry) -> None:
        self.erasures.begin(entry.seq, entry.subject, self.profile)
        self.revocations.erase(entry.subject)
        self.tombstones.add(entry.subject, entry.seq)
