"""What a yes and a no do to a record: pure rules that give the same record in every order of arrival.

    given = give(ver=3, words, ("behavioral",), number=5)      # a yes counts above what decided the category last
    taken = take(ver=5, words, ("behavioral",), number=4)      # a late no: the later yes stays

Each category of a record has the number of the change that decided it last (`at`) and, while it is on, the version
that granted it (`since`). A number that no honest browser can have counts as said on arrival, as does none at all.
A no writes a bound for each category that no later no decided: tokens below it lose the category.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from consent_core.formats.consent import BELIEVED, MAX_CLICK
from consent_core.formats.token import CATEGORIES

# A category is `on` in the first two. `signalled`: a browser's opt-out signal took it.
ON = ("given", "notified")
STATES = (*ON, "not-given", "withdrawn", "signalled")


@dataclass(frozen=True, slots=True)
class Word:
    """The last word on one category."""

    state: str = "not-given"
    at: int = 0
    since: int = 0

    @property
    def on(self) -> bool:
        """Whether the last word is a yes."""
        return self.state in ON


Words = Mapping[str, Word]


@dataclass(frozen=True, slots=True)
class Given:
    """After a yes. `counted`: the categories that no later word had decided."""

    ver: int
    words: Words
    said: int
    counted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """After a no. `lost`: categories that were on and are not now. `below`: bound -> categories denied below it."""

    ver: int
    words: Words
    said: int
    lost: tuple[str, ...]
    below: Mapping[int, tuple[str, ...]]


NOTHING_SAID: Words = dict.fromkeys(CATEGORIES, Word())


def number_used(number: int | None, ver: int) -> int:
    """The number by which a change counts at a record of this version (0: a new one)."""
    believable = number is not None and 1 <= number < MAX_CLICK and (ver == 0 or number <= ver + BELIEVED)
    return number if believable and number is not None else ver + 1


def give(ver: int, words: Words, categories: Iterable[str], number: int | None, state: str = "given") -> Given:
    """A yes to categories. A record is unchanged where nothing counts."""
    said, named = number_used(number, ver), set(categories)
    counted = tuple(c for c in CATEGORIES if c in named and said > words[c].at)
    new = max(ver + 1, said)
    after = {**words, **{c: Word(state, said, new) for c in counted}}
    return Given(new if counted else ver, after, said, counted)


def take(ver: int, words: Words, categories: Iterable[str], number: int | None, state: str = "withdrawn") -> Taken:
    """A no to categories."""
    said, named = number_used(number, ver), tuple(c for c in CATEGORIES if c in set(categories))
    last = tuple(c for c in named if said >= words[c].at)
    overtaken = tuple(c for c in named if c not in last and words[c].on)
    new = max(ver + 1, said) if last else ver
    after = {**words, **{c: _refused(words[c], said, state) for c in last}}
    bounds = {**dict.fromkeys(last, new), **{c: words[c].since for c in overtaken}}
    below = {bound: tuple(c for c in named if bounds.get(c) == bound) for bound in sorted(set(bounds.values()))}
    return Taken(new, after, said, tuple(c for c in last if words[c].on), below)


def choices_of(words: Words) -> tuple[str, ...]:
    """The categories whose last word is a yes."""
    return tuple(c for c in CATEGORIES if words[c].on)


def numbers_of(words: Words) -> dict[str, int]:
    """What decided each category last; a category that nothing decided is absent."""
    return {c: words[c].at for c in CATEGORIES if words[c].at}


def in_state(words: Words, *states: str) -> tuple[str, ...]:
    """The categories in any of these states."""
    return tuple(c for c in CATEGORIES if words[c].state in states)


def _refused(word: Word, said: int, state: str) -> Word:
    """A category that was never given is not withdrawn by a no: only its number rises."""
    return Word(state, said) if word.on else replace(word, at=said)
