"""Entries of a log before this one, taken over: those that follow the last one exactly as they are, the others anew.

An entry that goes on from the head (same number, same hash before it) is put in byte for byte, so that a POP that
stands there reads on. Any other gets a new number, and its hash is noted: a POP that stands at it is covered too.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, insert, select, update

from consent_core.formats.revocation import Entry, Point, entry_hash
from control_plane.log.entries import row_of
from control_plane.log.log import Writing
from control_plane.log.standing import place
from control_plane.store.schema import log, log_head, log_points


def take_over(writing: Writing, entries: Mapping[str, Entry]) -> tuple[Entry, ...]:
    """Put into the log what it lacks of `entries` (by hash); what was put in, in order."""
    lacking = [entry for chain, entry in entries.items() if not _is_known(writing.connection, entry.seq, chain)]
    exact = _go_on(writing, lacking)
    others = [entry for entry in sorted(lacking, key=lambda e: (e.at, e.seq)) if entry not in exact]
    return (*exact, *(_anew(writing, entry) for entry in others if entry.kind != "policy"))


def _is_known(connection: Connection, seq: int, chain: str) -> bool:
    points = select(log_points.c.seq).where(log_points.c.chain == chain)
    return place(connection, seq).chain == chain or connection.scalar(points) is not None


def _go_on(writing: Writing, lacking: Iterable[Entry]) -> tuple[Entry, ...]:
    """The longest row of entries that follows the head link by link."""
    connection = writing.connection
    state = connection.execute(select(log_head.c.head, log_head.c.chain).with_for_update()).one()
    following = {(entry.seq, entry.prev): entry for entry in lacking}
    head, exact = Point(state.head, state.chain), []
    while (entry := following.get((head.number + 1, head.chain))) is not None:
        connection.execute(insert(log).values(row_of(entry)))
        exact.append(entry)
        head = Point(entry.seq, entry_hash(entry))
    connection.execute(update(log_head).values(head=head.number, chain=head.chain))
    writing.appended = head.number
    return tuple(exact)


def _anew(writing: Writing, entry: Entry) -> Entry:
    writing.connection.execute(insert(log_points).values(chain=entry_hash(entry), seq=entry.seq))
    return writing.append(entry.kind, entry.subject, entry.categories, entry.ver, entry.said)
