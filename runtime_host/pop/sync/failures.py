"""What went wrong between this POP and its control plane, counted by code."""

from collections import Counter

from consent_core.errors import ConsentEdgeError, Untrusted


class Failures:
    """Counts since the start. `untrusted`: artefacts refused; `unavailable`: what else failed; `last`: of both."""

    def __init__(self) -> None:
        self.untrusted: Counter[str] = Counter()
        self.unavailable: Counter[str] = Counter()
        self.last: ConsentEdgeError | None = None

    def count(self, error: ConsentEdgeError) -> None:
        """Count a failure under its family and code."""
        self.last = error
        (self.untrusted if isinstance(error, Untrusted) else self.unavailable)[error.code] += 1
