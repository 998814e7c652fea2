"""A TOML table read strictly: every value is asked for by name and form, and every refusal names file, line and key."""

import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from consent_core.errors import Rejected
from consent_core.formats.rendition import CONTROL, MAX_COPY_CHARACTERS, POSITIONS, Focal

MAX_CATALOGUE_BYTES = 1_000_000
MAX_COPIES = 8

_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a file. `place` is its key path, `first` and `last` the lines it spans (from 1)."""

    values: dict[str, Any]
    place: str
    file: str
    lines: tuple[str, ...]
    first: int
    last: int

    def refuse(self, key: str, reason: str) -> NoReturn:
        """Refuse the value of `key`. Raises: Rejected("catalogue-invalid")."""
        where = f"{self.place}.{key}" if self.place else key
        raise Rejected("catalogue-invalid", f"{self.file}:{self._line(key)}: {where}: {reason}")

    def only(self, *keys: str) -> None:
        """Refuse a key that is not part of the format."""
        for key in self.values:
            if key not in keys:
                self.refuse(key, f"not part of the format; expected one of {', '.join(keys)}")

    def tables(self, key: str) -> Iterator["Table"]:
        """The tables of an array, at least one."""
        value = self._value(key, list)
        if not value or not all(isinstance(entry, dict) for entry in value):
            self.refuse(key, f"expected at least one [[{key}]]")
        starts = [number for number, line in enumerate(self.lines, 1) if line.strip() == f"[[{key}]]"]
        starts += [self.first] * (len(value) - len(starts))  # written inline
        for entry, start in zip(value, starts, strict=False):
            label = entry.get("id", entry.get("name", "?"))
            yield Table(entry, f"{key}[{label}]", self.file, self.lines, start, self._end(start))

    def inner(self, key: str) -> "Table":
        """A table within this one."""
        place = f"{self.place}.{key}" if self.place else key
        return Table(self._value(key, dict), place, self.file, self.lines, self._line(key), self.last)

    def number(self, key: str, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        value: int = self._value(key, int)
        if isinstance(value, bool) or not least <= value <= most:
            self.refuse(key, f"expected a whole number from {least} to {most}, got {value!r}")
        return value

    def text(self, key: str, most: int) -> str:
        """A line of 1 to `most` characters."""
        value: str = self._value(key, str)
        if not 0 < len(value) <= most or CONTROL.search(value):
            self.refuse(key, f"expected one line of 1 to {most} characters")
        return value

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        """A text of exactly this form."""
        value: str = self._value(key, str)
        if not pattern.fullmatch(value):
            self.refuse(key, f"{value!r} is not of the form {pattern.pattern}")
        return value

    def one_of(self, key: str, known: Collection[str]) -> str:
        """One of the known names."""
        value: str = self._value(key, str)
        if value not in known:
            self.refuse(key, f"{value!r} is not one of {', '.join(known)}")
        return value

    def texts(self, key: str, pattern: re.Pattern[str], most: int) -> tuple[str, ...]:
        """A list of different texts of one form, at most `most`."""
        values = self._value(key, list)
        if len(values) > most:
            self.refuse(key, f"expected at most {most}, got {len(values)}")
        for value in values:
            if not isinstance(value, str) or not pattern.fullmatch(value):
                self.refuse(key, f"{value!r} is not of the form {pattern.pattern}")
        if len(set(values)) != len(values):
            self.refuse(key, "a value appears twice")
        return tuple(values)

    def copies(self, key: str) -> tuple[str, ...]:
        """The texts that may accompany an asset: at least one, each short enough to be drawn."""
        values = self._value(key, list)
        if not 1 <= len(values) <= MAX_COPIES:
            self.refuse(key, f"expected 1 to {MAX_COPIES} texts, got {len(values)}")
        for value in values:
            if not isinstance(value, str) or not 0 < len(value) <= MAX_COPY_CHARACTERS or CONTROL.search(value):
                self.refuse(key, f"expected lines of 1 to {MAX_COPY_CHARACTERS} characters")
        return tuple(values)

    def focal(self, key: str) -> Focal:
        """Two fractions of width and height, kept as thousandths."""
        values = self._value(key, list)
        if len(values) != 2 or not all(type(value) in (int, float) and 0 <= value <= 1 for value in values):
            self.refuse(key, "expected two numbers from 0 to 1: across, down")
        return Focal(round(values[0] * 1000), round(values[1] * 1000))

    def overlay(self, key: str) -> str | None:
        """Where copy is drawn, or None for `none`."""
        value = self.one_of(key, ("none", *POSITIONS))
        return None if value == "none" else value

    def colour(self, key: str) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255, from `#rrggbb`."""
        red, green, blue = bytes.fromhex(self.matching(key, _COLOUR)[1:])
        return red, green, blue

    def _value(self, key: str, kind: type) -> Any:
        if key not in self.values:
            self.refuse(key, "is missing")
        if not isinstance(self.values[key], kind):
            self.refuse(key, f"expected {_NAMES[kind]}, got {self.values[key]!r:.40}")
        return self.values[key]

    def _line(self, key: str) -> int:
        """The line that sets `key` or opens it as a table; the table's own first line if none does."""
        opening = re.compile(rf"\s*(?:\[\[?[\w.\"-]*\b{re.escape(key)}\]\]?|[\"']?{re.escape(key)}[\"']?\s*[.=])")
        for number in range(self.first, self.last + 1):
            if opening.match(self.lines[number - 1]):
                return number
        return self.first

    def _end(self, start: int) -> int:
        for number in range(start + 1, len(self.lines) + 1):
            if self.lines[number - 1].lstrip().startswith("[["):
                return number - 1
        return len(self.lines)


_NAMES = {list: "a list", dict: "a table", int: "a whole number", str: "a text"}


def read_table(data: bytes, file: str) -> Table:
    """The whole of a file. Raises: Rejected("catalogue-invalid")."""
    if len(data) > MAX_CATALOGUE_BYTES:
        raise Rejected("catalogue-invalid", f"{file}: expected at most {MAX_CATALOGUE_BYTES} bytes, got {len(data)}")
    try:
        text = data.decode("utf-8")
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rejected("catalogue-invalid", f"{file}: {error}") from error
    lines = tuple(text.split("\n"))
    return Table(values, "", file, lines, 1, len(lines))
