"""The cookie `consent-no`: what was refused in this browser, so that a "no" travels with it to every edge.

    refusals = refusals_in(cookie_header)       # NONE, at the price of one search, where the cookie did not come
    refusals.categories                          # what no decision of this request may use

Wire format: `docs/formats/consent-no.md`. Any script of the page may write the cookie, so it only ever narrows: nobody
is believed to be somebody because of it. Standard library only, for guests too.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

COOKIES = (b"__Host-consent-no", b"consent-no")  # with the prefix wherever the browser takes it
LETTERS = {"c": "contextual", "b": "behavioral", "e": "experimental", "l": "learning"}
EVERYTHING = frozenset(LETTERS.values())
VERSION = b"1."
MAX_VALUES = 4  # a sibling host may add some; more can only be meant to hide one
MAX_ENTRIES = 8
MAX_BYTES = 1_024
MAX_HEADER_BYTES = 65_536  # as for every other cookie
MAX_NUMBER = 2**40 - 1

_MARK = b"consent-no="
_ID = r"[A-Za-z0-9_-]{21}[AQgw]"  # 16 bytes in base64url's one spelling
_VALUE = re.compile(rf"1\.({_ID})\.([0-9A-Za-z:~_-]+)")
_ENTRY = re.compile(rf"(0|[1-9][0-9]{{0,12}}):(c?b?e?l?):({_ID}):(0|[1-9][0-9]{{0,10}})")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One "no". `number`: of its click, 0 where there is none; `key`: its idempotency key; `at`: Unix seconds."""

    number: int
    categories: tuple[str, ...]
    key: str
    at: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """What one request brought. `tag`: the browser's own, None if there are none or several.

    `broken`: something that wants to be a refusal cannot be read; then everything is refused for this request.
    """

    tag: str | None = None
    entries: tuple[Refusal, ...] = ()
    broken: bool = False

    @property
    def categories(self) -> frozenset[str]:
        """The refused categories."""
        if self.broken:
            return EVERYTHING
        return frozenset(category for entry in self.entries for category in entry.categories)

    def numbers(self) -> dict[str, int]:
        """The highest number by refused category, of those entries that can be read."""
        numbers: dict[str, int] = {}
        for entry in self.entries:
            for category in entry.categories:
                numbers[category] = max(entry.number, numbers.get(category, 0))
        return numbers


NONE = Refusals()
_BROKEN = Refusals(broken=True)


def refusals_in(cookie_header: bytes | None) -> Refusals:
    """What a request's Cookie header says was refused. Never raises: what cannot be read narrows."""
    if cookie_header is None or _MARK not in cookie_header:
        return NONE
    if len(cookie_header) > MAX_HEADER_BYTES:
        return _BROKEN
    return read_refusals(_values(cookie_header))


def read_refusals(values: Sequence[bytes]) -> Refusals:
    """All values that came, united. One that does not begin with `1.` is of somebody else and says nothing."""
    distinct = tuple(dict.fromkeys(value for value in values if value.startswith(VERSION)))
    return _BROKEN if len(distinct) > MAX_VALUES else _united(distinct)


def write_refusals(tag: str, entries: Iterable[Refusal]) -> str:
    """The cookie's value; `read_refusals` gives the same back. Raises: ValueError for what has no spelling."""
    letters = {category: letter for letter, category in LETTERS.items()}
    parts = [
        f"{entry.number}:{''.join(letters[category] for category in entry.categories)}:{entry.key}:{entry.at}"
        for entry in entries
    ]
    value = f"1.{tag}.{'~'.join(parts)}"
    if read_refusals([value.encode("ascii")]).broken:
        raise ValueError("not of the documented form")
    return value


def _values(header: bytes) -> list[bytes]:
    pairs = (pair.strip(b" \t").partition(b"=") for pair in header.split(b";"))
    return [value for name, _, value in pairs if name in COOKIES]


@lru_cache(maxsize=4_096)  # a browser sends the same value with every request until its visitor changes their mind
def _united(values: tuple[bytes, ...]) -> Refusals:
    read = [_read(value) for value in values]
    if any(one.broken for one in read):
        return _BROKEN
    tags = {one.tag for one in read}
    entries = dict.fromkeys(entry for one in read for entry in one.entries)
    return Refusals(tags.pop() if len(tags) == 1 else None, tuple(entries))


def _read(value: bytes) -> Refusals:
    """One value, strictly: a category in one entry alone, a key once, letters in their order."""
    whole = _VALUE.fullmatch(value.decode("latin-1")) if len(value) <= MAX_BYTES else None
    if whole is None:
        return _BROKEN
    found = [_ENTRY.fullmatch(part) for part in whole[2].split("~")]
    entries = [_entry(match) for match in found if match is not None]
    named = [category for entry in entries for category in entry.categories]
    sound = (
        len(entries) == len(found) <= MAX_ENTRIES
        and all(entry.categories and entry.number <= MAX_NUMBER for entry in entries)
        and len(set(named)) == len(named)
        and len({entry.key for entry in entries}) == len(entries)
    )
    return Refusals(whole[1], tuple(entries)) if sound else _BROKEN


def _entry(match: re.Match[str]) -> Refusal:
    number, letters, key, at = match.groups()
    return Refusal(int(number), tuple(LETTERS[letter] for letter in letters), key, int(at))
