"""Colour adjustments: how the image follows the mood of what the signals name most."""

from collections.abc import Iterable

Tone = tuple[int, int, int]  # brightness, saturation, warmth in percent

TONES: dict[str, Tone] = {
    "camping": (2, 6, 18),
    "tent": (2, 6, 18),
    "forest": (0, 10, 8),
    "climbing": (4, 4, 6),
    "boots": (4, 4, 6),
    "mountain": (4, 4, -4),
    "water": (4, 14, -10),
    "kayak": (4, 14, -10),
    "coast": (4, 14, -8),
    "cycling": (3, 12, 4),
    "bike": (3, 12, 4),
    "city": (0, 4, -2),
    "winter": (6, -6, -20),
    "snow": (6, -6, -20),
    "skis": (6, -6, -20),
    "travel": (2, 8, 14),
    "desert": (2, 8, 14),
}


def tone_of(tokens: Iterable[tuple[str, float]]) -> Tone:
    """The tone of the first token, strongest first, that has one; else the image stays as it is."""
    for token, _ in tokens:
        tone = TONES.get(token.partition(":")[2])
        if tone is not None:
            return tone
    return 0, 0, 0
