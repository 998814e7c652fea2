"""The person's own word, and what is counted against it. Knows clicks and what was shown, but no code of a POP."""

from collections import Counter
from dataclasses import dataclass, field

# What must stay 0, and what each counts.
PROMISES = {
    "personalised_after_no_same_browser": "requests of a browser in a category that its person has refused last",
    "yes_lost": "recorded yeses, not overtaken by a later no, that the record or a POP does not have in the end",
    "no_lost": "last words that were a no and are a yes in the record in the end",
    "locked_out": "browsers whose further yes is not recorded in the end",
    "burst_over_s": "bursts that took more than 10 s to reach the log",
}
# How often what makes it hard has happened.
SITUATIONS = ("moved_after_no", "late_no_after_yes", "restores", "answers_lost", "late_copies", "cuts", "bursts")
BURST_S = 10.0


@dataclass(slots=True)
class Word:
    """A person's last word on one category. `turn`: of the click; `pop`: where it was sent first."""

    kind: str
    turn: int
    pop: int = 0


@dataclass(slots=True)
class Verdict:
    """`broken`: by promise; `seen`: by situation; `requests`, `changes`: how many were made."""

    broken: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    changes: int = 0
    burst_s: float = 0.0
    examples: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether no promise was broken."""
        return not any(self.broken[name] for name in PROMISES)

    def break_(self, promise: str, example: str) -> None:
        """Count a broken promise."""
        self.broken[promise] += 1
        if len(self.examples) < 20:
            self.examples.append(f"{promise}: {example}")


class Person:
    """What one person said."""

    def __init__(self) -> None:
        self.words: dict[str, Word] = {}

    def say(self, kind: str, categories: tuple[str, ...], turn: int, pop: int) -> None:
        """A click."""
        for category in categories:
            self.words[category] = Word(kind, turn, pop)

    def refused(self) -> set[str]:
        """The categories whose last word is a no."""
        return {category for category, word in self.words.items() if word.kind == "no"}
