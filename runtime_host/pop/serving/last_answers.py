"""What the control plane answered last for each session: what a page is told while nothing changed.

Trust: in memory only, bounded; names visitors, so an erased one is dropped at once and never kept again.
"""

from collections.abc import Callable

from consent_core.formats.consent import ConsentAnswer
from consent_core.formats.subject import subject_of
from runtime_host.pop.serving.lru import LruCache


class LastAnswers:
    """Answers by the session's stored hash. Used on the event loop's thread only."""

    def __init__(self, entries: int, erased: Callable[[str], bool] = lambda _: False) -> None:
        self._answers: LruCache[str, ConsentAnswer] = LruCache(entries)
        self._erased = erased

    def get(self, session: str) -> ConsentAnswer | None:
        """The last answer, if it is still here."""
        return self._answers.get(session)

    def put(self, session: str, answer: ConsentAnswer) -> ConsentAnswer:
        """Keep an answer, but of nobody who was erased meanwhile."""
        if self._erased(subject_of(answer.sub)):
            return answer
        return self._answers.put(session, answer)

    def forget(self, subject: str) -> int:
        """Drop every answer about one visitor (64 hex digits); how many there were."""
        return self._answers.drop_if(lambda answer: subject_of(answer.sub) == subject)

    def holds(self, subject: str) -> int:
        """How many answers about one visitor are here."""
        return self._answers.count_if(lambda answer: subject_of(answer.sub) == subject)
