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
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.formats.log_head import Succession, show_head
from consent_core.formats.revocation import Entry, Point
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.stores.attested import AttestedStore
from runtime_host.pop.stores.database import Database
from runtime_host.pop.stores.erasures import RECEIPT, Erased, Erasures
from runtime_host.pop.stores.followed_log import FollowedLog
from runtime_host.pop.stores.history import History
from runtime_host.pop.stores.outbox import Outbox, Withdrawal
from runtime_host.pop.stores.policies import Policies
from runtime_host.pop.stores.queue import Queue, Row
from runtime_host.pop.stores.raw import ANSWER, Raw
from runtime_host.pop.stores.revocations import Change, MirroredRevocations, Revocations, SharedRevocations
from runtime_host.pop.stores.revoking import DENIAL_KEPT_S, LOCAL, LOG, RevocationTables
from runtime_host.pop.stores.sessions import Sessions
from runtime_host.pop.stores.shared_state import LEAD, SharedState
from runtime_host.pop.stores.tombstones import Tombstones

RETRAIN = "retrain"


@dataclass(frozen=True, slots=True)
class DeniedText:
    """One token by hex SHA-256 of its text. `until`: Unix seconds of its expiry."""

    digest: str
    until: int


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
        self.revocations: Revocations = (
            MirroredRevocations(self.database)
            if shared_state is None
            else SharedRevocations(self.database, shared_state)
        )
        self.revoking = RevocationTables(self.database, self.revocations)
        self.log = FollowedLog(self.database)
        self.outbox = Outbox(self.database, clock)
        if shared_state is None or shared_state.place == LEAD:
            self.outbox.adopt()
        self.queue = Queue(self.database, clock)
        self.policies = Policies(self.database, clock)
        self.raw = Raw(self.database, clock)
        self.erasures = Erasures(self.database, clock)
        self.profile: tuple[str, ...] = ()
        self.attested = AttestedStore(self.database, clock)

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
            self.log.advance(origin, place, head, at, None if raw is None else show_head(raw))
            if entries:
                self.attested.apply(entries, place.number)
            crash_point("log-before-commit")
        crash_point("log-committed")
        return tuple(Change(e.seq, e.kind, e.subject, e.categories, e.ver, e.at) for e in entries)

    def follow(self, succession: Succession) -> None:
        """Read on in the log that takes the old one's place, and send every "no" again: it counts once."""
        with self.database.transaction():
            self.log.follow(succession.new_origin, succession.follow)
            self._send_again()
            crash_point("log-before-following")

    def accept_log(self) -> None:
        """Follow the log that answers next, from its start: an operator's decision. What was denied stays denied."""
        with self.database.transaction():
            self.log.accept_origin()
            self._send_again()

    def withdraw(self, *withdrawals: Withdrawal, text: "DeniedText | None" = None) -> tuple[Change, ...]:
        """Put a "no" in force at this POP and keep it for forwarding, durably, before anyone is answered.

        One person may have several sessions: all of them, or none. `text`: a token to deny by its text alone.
        Returns: the changes; none for a visitor that this POP cannot know (the outbox still forwards it), or for
        what was said before with the same `key`.
        """
        with self.database.transaction():
            new = [w for w in withdrawals if self.outbox.add(w)]
            crash_point("withdrawal-kept")
            if text is not None:
                self.revoking.deny_text(text.digest, text.until)
            changes = tuple(self._deny(w, w.subject) for w in new if w.subject is not None)
            crash_point("withdrawal-before-commit")
        crash_point("withdrawal-committed")
        return changes

    def forwarded(self, ended: Iterable[tuple[Withdrawal, int | str]]) -> None:
        """What became of withdrawals: the version that the control plane has now, or the code it refuses one with.

        The log's own entries say what is denied from now on; what was denied here may end when no older token is
        alive. A refused one stays in force here. Lost in a power cut, rows are sent again: not worth an fsync.
        """
        until = self._clock.now() + DENIAL_KEPT_S
        with self.database.transaction(durable=False):
            for w, end in ended:
                if isinstance(end, str):
                    self.outbox.close(w, "refused", end)
                    continue
                if w.subject is not None:
                    self.revoking.settle(w.subject, _named(w), w.below, until)
                    self.sessions.raise_version(w.subject, end)
                self.outbox.close(w, "forwarded")

    def attest(self, erased: Erased) -> None:
        """Queue the receipt of a purge: every part was counted empty."""
        told = {"seq": erased.seq, "subject": erased.subject, "at": self._clock.now()}
        with self.database.transaction():
            self.queue.put(RECEIPT, str(erased.seq), {**told, "deleted": erased.deleted, "ends": erased.ends})
            self.attested.owe_deletion(erased)

    def delivered(self, receipts: Iterable[Row]) -> None:
        """The control plane has these receipts: their visitors leave the queue."""
        with self.database.transaction():
            for row in receipts:
                self.erasures.delivered(row.body["seq"])

    def sweep(self, before: int | None = None) -> None:
        """Delete what ran out and let it leave the disk.

        `before`: Unix seconds up to which denials may end; None, while no signed time is known: none does.
        """
        for part in (self.history, self.tombstones, self.sessions, self.outbox, self.queue, self.raw, self.attested):
            part.sweep()
        if before is not None:
            self.revoking.sweep(min(before, self._clock.now()))
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
            self.revoking.deny(entry.subject, entry.categories, entry.ver, LOG, entry.at + DENIAL_KEPT_S)
            self.sessions.raise_version(entry.subject, entry.ver)
            self._take_back(entry.subject, entry.categories, entry.ver)
        elif entry.kind == "purge":
            self._erase(entry)
        elif entry.kind in ("key", "model"):
            self.revoking.revoke(entry.kind, entry.subject, entry.at)
        elif entry.kind == "policy":
            self.policies.demand(entry.subject, entry.seq)

    def _deny(self, withdrawal: Withdrawal, subject: str) -> Change:
        categories, below = _named(withdrawal), withdrawal.below
        self.revoking.deny(subject, categories, below, LOCAL, None)
        self._take_back(subject, categories, below)
        return Change(None, "session", subject, categories, below, self._clock.now())

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
        self.revoking.erase(entry.subject)
        self.tombstones.add(entry.subject, entry.seq)


def _named(withdrawal: Withdrawal) -> tuple[str, ...]:
    return CATEGORIES if withdrawal.categories is None else withdrawal.categories
