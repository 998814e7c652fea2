"""Typed reading of one JSON object: exactly the agreed members, each of its type, or one refusal.

    fields = Fields(value, _refused, required={"pop", "gpc"}, optional={"clause_id"})
    fields.matching("pop", REGION), fields.flag("gpc"), fields.optional_text("clause_id")

`refuse` turns a message into the error that the format raises, so that one reader serves request bodies (`Rejected`)
and signed answers (`Untrusted`).
"""

import re
from collections.abc import Callable, Collection
from typing import Any

from consent_core.errors import ConsentEdgeError
from consent_core.formats.token import CATEGORIES

Refuse = Callable[[str], ConsentEdgeError]

JURISDICTION = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")
UNKNOWN_JURISDICTION = "ZZ"  # the strictest rules
MAX_TEXT = 4096  # characters of one member; receipts and tokens are the longest
MAX_NUMBER = 2**53 - 1  # the largest whole number every JSON reader keeps exactly


class Fields:
    """The members of one JSON object. Raises what `refuse` makes of a message, never anything else."""

    def __init__(
        self, value: object, refuse: Refuse, required: Collection[str], optional: Collection[str] = ()
    ) -> None:
        if not isinstance(value, dict):
            raise refuse("expected a JSON object")
        unknown = value.keys() - set(required) - set(optional)
        if unknown:
            raise refuse(f"{len(unknown)} members are not part of the format")
        missing = set(required) - value.keys()
        if missing:
            raise refuse(f"missing: {', '.join(sorted(missing))}")
        self._value: dict[str, Any] = value
        self._refuse = refuse

    def text(self, name: str, limit: int = MAX_TEXT) -> str:
        """A string of 1 to `limit` characters."""
        value = self._value[name]
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise self._refuse(f"{name}: expected a string of 1 to {limit} characters")
        return value

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        """A string of the agreed form."""
        value = self._value[name]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._refuse(f"{name}: not of the agreed form")
        return value

    def one_of(self, name: str, allowed: Collection[str]) -> str:
        """One of a closed set of words."""
        value = self._value[name]
        if not isinstance(value, str) or value not in allowed:
            raise self._refuse(f"{name}: expected one of {', '.join(allowed)}")
        return value

    def number(self, name: str) -> int:
        """A whole number of 0 to 2^53 - 1. A boolean is not one."""
        value = self._value[name]
        if type(value) is not int or not 0 <= value <= MAX_NUMBER:
            raise self._refuse(f"{name}: expected a whole number")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._value[name]
        if not isinstance(value, bool):
            raise self._refuse(f"{name}: expected true or false")
        return value

    def categories(self, name: str) -> tuple[str, ...]:
        """Categories, none twice, in the order of `CATEGORIES`."""
        value = self._value[name]
        if not isinstance(value, list) or not all(isinstance(item, str) and item in CATEGORIES for item in value):
            raise self._refuse(f"{name}: expected a list from {', '.join(CATEGORIES)}")
        if len(set(value)) != len(value):
            raise self._refuse(f"{name}: a category appears twice")
        return tuple(category for category in CATEGORIES if category in value)

    def items(self, name: str, limit: int) -> list[Any]:
        """A list of at most `limit` members of any kind."""
        value = self._value[name]
        if not isinstance(value, list) or len(value) > limit:
            raise self._refuse(f"{name}: expected a list of at most {limit}")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """A JSON object of any members."""
        value = self._value[name]
        if not isinstance(value, dict):
            raise self._refuse(f"{name}: expected an object")
        return value

    def texts_by_category(self, name: str) -> dict[str, str]:
        """A string per category."""
        value = self.mapping(name)
        if not all(key in CATEGORIES and isinstance(item, str) for key, item in value.items()):
            raise self._refuse(f"{name}: expected a text per category")
        return value

    def numbers_by_category(self, name: str) -> dict[str, int]:
        """A whole number of 0 to 2^53 - 1 per category."""
        value = self.mapping(name)
        if not all(key in CATEGORIES and type(item) is int and 0 <= item <= MAX_NUMBER for key, item in value.items()):
            raise self._refuse(f"{name}: expected a whole number per category")
        return value

    def optional_number(self, name: str) -> int | None:
        """A whole number, None if it is missing or null."""
        return None if self.absent(name) else self.number(name)

    def optional_matching(self, name: str, pattern: re.Pattern[str]) -> str | None:
        """A string of the agreed form, None if it is missing or null."""
        return None if self.absent(name) else self.matching(name, pattern)

    def absent(self, name: str) -> bool:
        """Whether an optional member is missing or null."""
        return self._value.get(name) is None


def is_jurisdiction(text: str) -> bool:
    """Whether `text` has the form of a jurisdiction code. What is not becomes `ZZ`; nothing is decided here."""
    return JURISDICTION.fullmatch(text) is not None
