"""What one beat adds to the ledger: facts as they came, then leaves about people, shuffled and padded. Pure.

The number of leaves about people would tell what happened (a yes is one, a no two, a request more), so each beat has
8·2^k of them, the missing ones random. k is the same for every beat of a day: 8·2^k is above the mean of the last
day's beats by six standard deviations. A fuller beat takes the next power, which at six deviations is rare.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from consent_core.formats.leaf import COMMITMENT_BYTES, FACTS, PERSON, person_leaf

LEAST = 8  # leaves about people in a beat
DEVIATIONS = 6  # from the mean: how rarely a beat is fuller than its day's size
DAY_S = 86_400

# What a leaf is, as rows keep it: people are told apart from facts.
RANKS = {kind: rank for rank, kind in enumerate((*FACTS, PERSON))}
PEOPLE = RANKS[PERSON]


class Randomness(Protocol):
    """Unpredictable to readers of the ledger: `random.SystemRandom`, or a seeded one in simulations."""

    def shuffle(self, x: list[Any]) -> None:
        """In place."""
        ...

    def randbytes(self, n: int) -> bytes:
        """n random bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """A leaf that waits for its place. `row`: where the store has it; None for padding."""

    row: int | None
    rank: int
    key: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Day:
    """How many leaves about people the beats of a day had: number of beats, sum, and sum of squares."""

    beats: int = 0
    people: int = 0
    squares: int = 0

    def with_beat(self, people: int) -> "Day":
        """One beat more."""
        return Day(self.beats + 1, self.people + people, self.squares + people * people)


def size_after(day: Day) -> int:
    """The least number of leaves about people in each beat of the following day."""
    if day.beats == 0:
        return LEAST
    mean = day.people / day.beats
    deviation = math.sqrt(max(day.squares / day.beats - mean * mean, 0.0))
    return padded_size(math.ceil(mean + DEVIATIONS * deviation), LEAST)


def padded_size(people: int, least: int) -> int:
    """How many leaves about people a beat of so many has: `least`, or the next power where it is fuller."""
    size = least
    while size < people:
        size *= 2
    return size


def arranged(waiting: Sequence[Item], least: int, random: Randomness) -> list[Item]:
    """The beat's leaves in their order: facts as they came, so that a key's endorsement stands before what it signed;
    then people and padding, mixed.
    """
    facts = [item for item in waiting if item.rank != PEOPLE]
    people = [item for item in waiting if item.rank == PEOPLE]
    people += [_random_leaf(random) for _ in range(padded_size(len(people), least) - len(people))]
    random.shuffle(people)
    return [*facts, *people]


def _random_leaf(random: Randomness) -> Item:
    commitment = random.randbytes(COMMITMENT_BYTES)
    return Item(None, PEOPLE, commitment, person_leaf(commitment))
