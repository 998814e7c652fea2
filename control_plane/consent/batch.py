"""The rows of one request: whose they are, what they find, and what they leave to be written.

    batch = Batch.of(connection, rows, now)       # visitors locked in one order for everybody; a few look-ups for all
    batch.change(change, click, categories)       # in memory, so that rows about one visitor see each other
    batch.write(writing, versions, now)           # all of it, in the rows' order

A row names its visitor by the credential that only withdraws; else by what version 0.1.0 kept of a secret; else by
the subject that the POP vouches for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from consent_core.crash import crash_point
from consent_core.formats.withdrawals import RowError, WithdrawalRow
from control_plane.consent import counted, records, sessions
from control_plane.consent.counted import Click
from control_plane.consent.records import Record, Visitor
from control_plane.consent.versions import Change, Versions
from control_plane.log.log import Writing

Line = WithdrawalRow | RowError


@dataclass(slots=True)
class Batch:
    """One request's rows at work. visitors, records: as the rows so far leave them, by `sub`.

    owners: the visitor of each row, None where there is none. `_before`: the clicks that were counted before this
    batch; `_after`: by now. `_changes`: what is to be written, in the rows' order.
    """

    owners: tuple[str | None, ...]
    visitors: dict[str, Visitor]
    records: dict[str, Record]
    _before: dict[Click, tuple[str, ...]]
    _after: dict[Click, tuple[str, ...]] = field(default_factory=dict)
    _changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, connection: Connection, lines: Sequence[Line], now: int) -> "Batch":
        """Lock the visitors of these rows, and look up what the rows are judged by."""
        named = owners_of(connection, lines, now)
        visitors = records.lock_visitors(connection, {sub for sub in named if sub is not None})
        owners = tuple(sub if sub in visitors else None for sub in named)
        clicks = {(sub, line.key) for sub, line in zip(owners, lines, strict=True) if sub is not None}
        newest = records.newest_of(connection, visitors)
        return cls(owners, visitors, newest, counted.of_clicks(connection, counted.NO, clicks))

    def counted(self, click: Click) -> tuple[str, ...]:
        """The categories that this click has changed by now."""
        return self._after.get(click, self._before.get(click, ()))

    def change(self, change: Change, click: Click, categories: Iterable[str]) -> None:
        """Let later rows find what this one changed, and that its click was counted for these categories."""
        self._changes.append(change)
        self._after[click] = (*self.counted(click), *categories)
        if change.record is not None:
            sub = change.visitor.sub
            self.records[sub] = change.record
            self.visitors[sub] = replace(change.visitor, ver=change.record.ver)

    def write(self, writing: Writing, versions: Versions, now: int) -> tuple[Record, ...]:
        """Write what the rows changed; the versions that they made."""
        written = versions.write(writing, self._changes)
        counted.remember_all(writing.connection, counted.NO, self._before, self._after, now)
        if self._changes:
            crash_point("consent.withdrawal-remembered")
        return written


def owners_of(connection: Connection, lines: Sequence[Line], now: int) -> tuple[str | None, ...]:
    """The visitor of each row, None where there is none (any more)."""
    rows = [line for line in lines if isinstance(line, WithdrawalRow)]
    by_session = sessions.owners_by_withdraw(connection, {r.withdraw for r in rows if r.withdraw is not None}, now)
    rest = [row for row in rows if row.withdraw not in by_session]
    legacy = {row.session_legacy for row in rest if row.session_legacy is not None}
    by_legacy = sessions.owners_by_legacy(connection, legacy, now)
    rest = [row for row in rest if row.session_legacy not in by_legacy]
    by_subject = records.subs_of(connection, {row.subject for row in rest if row.subject is not None}, now)
    found = (by_session, by_legacy, by_subject)
    return tuple(None if isinstance(line, RowError) else _owner(line, *found) for line in lines)


def _owner(
    row: WithdrawalRow, by_session: dict[str, str], by_legacy: dict[str, str], by_subject: dict[str, str]
) -> str | None:
    names = ((by_session, row.withdraw), (by_legacy, row.session_legacy), (by_subject, row.subject))
    return next((found[name] for found, name in names if name is not None and name in found), None)
