"""Log entries for tests that do not look at the chain: any links, one effect per kind."""

from consent_core.formats.revocation import EFFECTS, GENESIS, Entry, Point


def at(number: int) -> Point:
    """A place in some log."""
    return Point(number, f"sha256:{number:064x}" if number else GENESIS)


def entry_of(seq: int, kind: str, subject: str, categories: tuple[str, ...], ver: int, when: int) -> Entry:
    return Entry(seq, at(seq - 1).chain, "A" * 22, kind, subject, categories, ver, 0, when, EFFECTS[kind])
