"""Train the seed models on generated visits and bake them into `weights.py`.

    python functions/personalization/training/train.py            # writes weights.py
    python functions/personalization/training/train.py --check    # exit 1 if weights.py is not what this writes

Pairwise ranking with a hinge (the perceptron of Collins 2002, averaged): only sums and products of numbers
that floats hold exactly enough, so the same seed bakes the same bytes on every machine.
The generated shoppers follow `AFFINITY`; a purchase makes the thing itself less, its bundled_slots more attractive.
"""

import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

FUNCTION = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(FUNCTION))

from features import BUCKETS, Tokens, bucket, history_tokens, page_tokens, strongest  # noqa: E402 - guest modules live beside

SEED = 20_260_101
VISITS = 20_000
MARGIN = 8.0
STEP = 1.0

# section -> what belongs to it. Sections, scenes and products use the words of the shop's catalogue.
AFFINITY = {
    "camping": ("camping", "tent", "forest"),
    "climbing": ("climbing", "boots", "mountain"),
    "water": ("water", "kayak", "coast"),
    "cycling": ("cycling", "bike", "city"),
    "winter": ("winter", "snow", "skis"),
    "travel": ("travel", "desert"),
}
TAGS = tuple(sorted({tag for tags in AFFINITY.values() for tag in tags}))
COMPANIONS = {"tent": "boots", "boots": "tent", "kayak": "tent", "bike": "tent", "skis": "boots"}
LANGUAGES = ("", "en", "de", "fr", "ja")
KINDS = ("", "shop", "guide", "product")

Visit = tuple[Tokens, dict[str, float]]  # what the signals say; how attractive each tag really is


def contextual_visits(random: Random) -> Iterator[Visit]:
    """A page of one section; its own things attract, the section's word most."""
    while True:
        section = random.choice(tuple(AFFINITY))
        tags = random.sample(AFFINITY[section], random.randint(0, 2))
        attraction = dict.fromkeys(TAGS, 0.0)
        attraction |= dict.fromkeys(AFFINITY[section], 1.0) | {section: 2.0}
        attraction |= dict.fromkeys(tags, 2.0)
        yield page_tokens(f"/{random.choice(KINDS)}", section, tags, random.choice(LANGUAGES)), attraction


def behavioral_visits(random: Random) -> Iterator[Visit]:
    """A shopper with one interest: clicks pull towards it, purchases towards what goes with it."""
    while True:
        section = random.choice(tuple(AFFINITY))
        attraction = dict.fromkeys(TAGS, 0.0) | dict.fromkeys(AFFINITY[section], 2.0)
        events = []
        for _ in range(random.randint(1, 5)):
            kind = random.choice(("impression", "click", "click", "purchase"))
            tag = random.choice(AFFINITY[section] if kind != "impression" else TAGS)
            if kind == "purchase" and tag in COMPANIONS:
                attraction[tag] -= 2.0
                attraction[COMPANIONS[tag]] += 1.0
            events.append((kind, (tag,), random.randint(0, 6)))
        yield history_tokens(events), attraction


def train(visits: Iterator[Visit], random: Random) -> list[float]:
    """Averaged weights (float, one per bucket) that rank attractive tags above others by `MARGIN`."""
    weights = [0.0] * BUCKETS
    total = [0.0] * BUCKETS
    for turn in range(VISITS):
        tokens, attraction = next(visits)
        better, worse = sorted(random.sample(TAGS, 2), key=lambda tag: -attraction[tag])
        if attraction[better] > attraction[worse]:
            _learn(weights, total, VISITS - turn, strongest(tokens), better, worse)
    return [value / VISITS for value in total]


def _learn(
    weights: list[float], total: list[float], remaining: int, tokens: list[tuple[str, float]], better: str, worse: str
) -> None:
    def fit(tag: str) -> float:
        return sum(weights[bucket(token, tag)] * strength for token, strength in tokens)

    if fit(better) - fit(worse) >= MARGIN:
        return
    for tag, direction in ((better, STEP), (worse, -STEP)):
        for token, strength in tokens:
            place = bucket(token, tag)
            weights[place] += direction * strength
            total[place] += direction * strength * remaining


def bake(weights: list[float]) -> str:
    """Weights as signed bytes in base64; the largest becomes 127."""
    largest = max(abs(weight) for weight in weights)
    return b64encode(bytes(round(127 * weight / largest) & 0xFF for weight in weights)).decode("ascii")


def module() -> str:
    """The text of `weights.py`."""
    lines = ['"""Baked by `training/train.py`: one signed byte per bucket, in base64. Not edited by hand."""', ""]
    models: tuple[tuple[str, Callable[[Random], Iterator[Visit]]], ...] = (
        ("CONTEXTUAL", contextual_visits),
        ("BEHAVIORAL", behavioral_visits),
    )
    for name, visits in models:
        random = Random(SEED)  # noqa: S311 - generated shoppers, not secrets
        lines += [f"{name} = (", *_wrapped(bake(train(visits(random), random))), ")"]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return [f'    "{text[start : start + 100]}"' for start in range(0, len(text), 100)]


def main() -> int:
    """Write `weights.py`, or with --check compare it."""
    target = FUNCTION / "weights.py"
    text = module()
    if "--check" in sys.argv[1:]:
        return 0 if target.read_text(encoding="utf-8") == text else 1
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
