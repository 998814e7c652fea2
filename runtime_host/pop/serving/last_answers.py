"""What the control plane answered last for each session: what a page is told while nothing changed.

Trust: in memory only, bounded; names visitors, so an erased one is dropped at once and never kept again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consent_core.formats.consent import ConsentAnswer
from consent_core.formats.subject import subject_of
from runtime_host.pop.serving.lru import LruCache


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """What the control plane last said of a session. `refused`: what it was told that this browser refuses.

    `presented`: whether it has seen that very session.
    """

    answer: ConsentAnswer
    refused: frozenset[str]
    presented: bool


class LastAnswers:
    """Answers by the session's stored hash. Used on the event loop's thread only."""

    def __init__(self, entries: int, erased: Callable[[str], bool] = lambda _: False) -> None:
        self._answers: LruCache[str, LastAnswer] = LruCache(entries)
        self._erased = erased

    def get(self, session: str) -> LastAnswer | None:
        """The last answer, if it is still here."""
        return self._answers.get(session)

    def put(self, session: str, last: LastAnswer) -> None:
        """Keep an answer, unless its visitor was erased meanwhile."""
        if not self._erased(subject_of(last.answer.sub)):
            self._answers.put(session, last)

    def forget(self, subject: str) -> int:
        """Drop every answer about one visitor (64 hex digits); how many there were."""
        return self._answers.drop_if(lambda last: subject_of(last.answer.sub) == subject)

    def holds(self, subject: str) -> int:
        """How many answers about one visitor are here."""
        return self._answers.count_if(lambda last: subject_of(last.answer.sub) == subject)
