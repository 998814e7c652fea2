"""What is true of one visitor after a restore: pure, over what was signed and what POPs vouch for.

    decision = decide(sources, entries, noes)

sources   the record of the backup, and the newest record of each grant proof: of each category the word with the
          highest number counts, at equal numbers a no
entries   of the log: a category is off whose yes is below the entry's bound, and its number is at least the no's
version   above everything seen by `RAISE`: what a lost POP handed out is lower, and no browser's clicks are above it
noes      said at the POPs, each once more by its number, as if they came now: they write entries of their own

The order is that of `restore` in the consent model; a yes that only a lost POP knew is not here, a no returns with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from consent_core.formats.consent import BELIEVED
from consent_core.formats.revocation import EVERY_VERSION, Entry
from consent_core.formats.token import CATEGORIES
from control_plane.consent.changes import NOTHING_SAID, Taken, Word, Words, take

RAISE = 16 * BELIEVED  # clicks of an honest browser are at most BELIEVED above a version that it was told
APART_S = 300  # a yes must be later than a no without a number by more than clocks differ, to stay


@dataclass(frozen=True, slots=True)
class Source:
    """One record as it was signed or stored. `at`: Unix seconds when."""

    ver: int
    words: Words
    at: int


@dataclass(frozen=True, slots=True)
class No:
    """One "no". `number`: None where there was none. `at`: Unix seconds at which it was said."""

    categories: tuple[str, ...]
    number: int | None
    at: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The record from now on. `taken`: what each no came to, in order."""

    ver: int
    words: Words
    taken: tuple[Taken, ...]


def decide(sources: Sequence[Source], entries: Iterable[Entry], noes: Iterable[No]) -> Decision:
    """The visitor's record after the restore."""
    entries = tuple(entry for entry in entries if entry.ver != EVERY_VERSION)
    words: Words = _after_entries(_latest(sources), entries)
    ver = max((0, *(source.ver for source in sources), *(entry.ver for entry in entries))) + RAISE
    taken = []
    for no in sorted(noes, key=lambda no: (no.at, no.number or 0)):
        if named := _still_meant(no, words, sources):
            taken.append(take(ver, words, named, no.number))
            ver, words = taken[-1].ver, taken[-1].words
    return Decision(ver, words, tuple(taken))


def _latest(sources: Sequence[Source]) -> dict[str, Word]:
    """Of each category the last word that any source knows."""
    words = dict(NOTHING_SAID)
    for source in sources:
        words.update({c: _later(words[c], source.words[c]) for c in CATEGORIES})
    return words


def _later(one: Word, other: Word) -> Word:
    return max(one, other, key=lambda word: (word.at, not word.on, word.since))


def _after_entries(words: Mapping[str, Word], entries: Iterable[Entry]) -> dict[str, Word]:
    after = dict(words)
    for entry in entries:
        for category in entry.categories:
            word = after[category]
            number = max(word.at, entry.said)
            if word.on and word.since < entry.ver:
                after[category] = Word("withdrawn", number)
            elif not word.on:
                after[category] = replace(word, at=number)
    return after


def _still_meant(no: No, words: Words, sources: Sequence[Source]) -> tuple[str, ...]:
    """The categories of a no; without those of a clearly later yes, where no number says the order."""
    if no.number is not None:
        return no.categories
    return tuple(c for c in no.categories if not words[c].on or _said_at(words[c], c, sources) <= no.at + APART_S)


def _said_at(word: Word, category: str, sources: Sequence[Source]) -> int:
    return min((source.at for source in sources if source.words[category] == word), default=0)
