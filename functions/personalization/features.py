"""Hashed features, shared by the guest and the training script so that both count the same things.

A *token* is one thing the signals say, with a strength: `section:winter`, `click:tent`. A feature is a token crossed
with a tag of a candidate, hashed into one of `BUCKETS` weights. Standard library only, no clock, no randomness.
"""

from binascii import crc32
from collections.abc import Iterable, Mapping, Sequence

BUCKETS = 2048
MAX_TOKENS = 24  # the strongest ones; bounds the work of a decision whatever the history holds

Tokens = Mapping[str, float]


def page_tokens(path: str, section: str, tags: Sequence[str], language: str) -> dict[str, float]:
    """Tokens of the page a visitor is on. The first part of the path stands for the kind of page."""
    tokens = {f"section:{section}": 1.0, f"language:{language}": 0.25, f"kind:{path.strip('/').split('/')[0]}": 0.25}
    tokens.update((f"page:{tag}", 1.0) for tag in tags)
    return tokens


def history_tokens(interactions: Iterable[tuple[str, Sequence[str], int]]) -> dict[str, float]:
    """Tokens of (kind, tags, days ago). What happened today counts 1, a week ago an eighth; repetition adds up to 4."""
    tokens: dict[str, float] = {}
    for kind, tags, days_ago in interactions:
        for tag in tags:
            token = f"{kind}:{tag}"
            tokens[token] = min(4.0, tokens.get(token, 0.0) + 1.0 / (1 + days_ago))
    return tokens


def strongest(tokens: Tokens) -> list[tuple[str, float]]:
    """The `MAX_TOKENS` strongest tokens; equal ones by name, so that the order of the input never matters."""
    return sorted(tokens.items(), key=lambda item: (-item[1], item[0]))[:MAX_TOKENS]


def bucket(token: str, tag: str) -> int:
    """Which weight belongs to a token crossed with a tag."""
    return crc32(f"{token}\n{tag}".encode()) % BUCKETS
