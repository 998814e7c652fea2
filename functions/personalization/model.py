"""A linear model over hashed features: how well a tag, and so a candidate or a text, fits the tokens."""

from base64 import b64decode
from collections.abc import Iterable, Sequence

from features import Tokens, bucket, strongest


class LinearModel:
    """Baked weights: one signed byte per bucket, in base64. Whole numbers, so every machine scores alike."""

    def __init__(self, weights: str) -> None:
        self._weights = memoryview(b64decode(weights)).cast("b")

    def fit_of_tags(self, tokens: Tokens, tags: Iterable[str]) -> dict[str, float]:
        """How well each tag fits what the tokens say; 0 is indifferent."""
        said = strongest(tokens)
        return {tag: sum(self._weights[bucket(token, tag)] * strength for token, strength in said) for tag in tags}


def mean_fit(fit: dict[str, float], tags: Sequence[str]) -> float:
    """The fit of a candidate: the mean over its tags, so that piling up tags does not help."""
    return sum(fit[tag] for tag in tags) / len(tags) if tags else 0.0
