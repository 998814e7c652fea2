"""A visitor's recent interactions as functions see them, kept for a moment so that a hot page does not ask the disk.

Trust: in memory only. An entry lives at most `MAX_AGE_S`, and never past a change of the generation, the end of the
day or the end of the retention of its oldest row.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from consent_core.clock import Clock
from consent_core.decision.contract import Interaction, InteractionKind
from consent_core.formats.consent import RETENTION_S
from runtime_host.pop.stores.history import Kept

MAX_AGE_S = 1.0  # another worker of the same POP may have written meanwhile
MAX_VISITORS = 10_000
MAX_INTERACTIONS = 200  # what the store keeps; the guest accepts 256
CATEGORY = "behavioral"
DAY_S = 86_400


class HistoryStore(Protocol):
    """The part of the history store that is read here."""

    def read(self, subject: str, category: str, limit: int = ...) -> tuple[Kept, ...]:
        """What may be known of a visitor now, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    interactions: tuple[Interaction, ...]
    generation: int
    read_at: float
    day: int
    until: int


class Recent:
    """Interactions by subject. Used on the event loop's thread only."""

    def __init__(self, store: HistoryStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def of(self, subject: str, generation: int) -> tuple[Interaction, ...]:
        """The visitor's interactions within retention, newest first, under this generation."""
        now, elapsed = self._clock.now(), self._clock.elapsed()
        entry = self._entries.get(subject)
        if (
            entry is None
            or entry.generation != generation
            or elapsed - entry.read_at > MAX_AGE_S
            or now >= entry.until
            or now // DAY_S != entry.day
        ):
            entry = self._read(subject, generation, now, elapsed)
        return entry.interactions

    def forget(self, subject: str) -> int:
        """Read this visitor's rows again next time; whether any were remembered."""
        return int(self._entries.pop(subject, None) is not None)

    def holds(self, subject: str) -> int:
        """Whether anything is remembered of this visitor."""
        return int(subject in self._entries)

    def _read(self, subject: str, generation: int, now: int, elapsed: float) -> _Entry:
        rows = self._store.read(subject, CATEGORY, MAX_INTERACTIONS)
        until = min((row.at for row in rows), default=now) + RETENTION_S[CATEGORY]
        interactions = tuple(
            Interaction(_kind(row.kind), row.item, row.tags, min(now // DAY_S - row.at // DAY_S, 255)) for row in rows
        )
        entry = self._entries[subject] = _Entry(interactions, generation, elapsed, now // DAY_S, until)
        self._entries.move_to_end(subject)
        if len(self._entries) > MAX_VISITORS:
            self._entries.popitem(last=False)
        return entry


def _kind(kind: str) -> InteractionKind:
    match kind:
        case "impression" | "click" | "purchase":
            return kind
        case _:
            raise ValueError(f"no such interaction: {kind}")
