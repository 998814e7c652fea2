"""A line of a privacy budget ledger: what one place spent for one week. Lines are a hash chain.

    line = BudgetLine(1, FIRST, "2027-W02", Fraction(8388608, 76125335), "round", "sha256:…")
    following = BudgetLine(2, line.digest, …)

Wire format: `docs/formats/budget-ledger.md`. A line names no model, category or version, so that none of them has a
budget of its own. What may be spent is judged by `consent_core.privacy.ledger`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.fields import Fields

FIRST = "sha256:" + "0" * 64  # `prev` of the first line
WHAT = ("round", "adopted", "conflict")
MAX_LINES = 64  # that travel at once: five weeks, and many second stories about them

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
WEEK = re.compile(r"[0-9]{4}-W(?:0[1-9]|[1-4][0-9]|5[0-3])")
_RHO = re.compile(r"[1-9][0-9]{0,19}/[1-9][0-9]{0,19}")


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One spend. prev: digest of the line before. what: a round, one taken over, or a second story about one."""

    seq: int
    prev: str
    week: str
    rho: Fraction
    what: str
    mechanism: str

    @property
    def digest(self) -> str:
        """What the next line names as `prev`."""
        return sha256_digest(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """The members; rho as numerator/denominator in lowest terms."""
        members = {name: getattr(self, name) for name in ("seq", "prev", "week", "what", "mechanism")}
        return {**members, "rho": write_rho(self.rho)}


def read_lines(values: Sequence[object]) -> tuple[BudgetLine, ...]:
    """Lines that follow each other. Raises: Rejected("budget-malformed")."""
    if not 1 <= len(values) <= MAX_LINES:
        raise malformed(f"expected 1 to {MAX_LINES} lines")
    lines = tuple(_line(value) for value in values)
    if any(after.seq != before.seq + 1 or after.prev != before.digest for before, after in pairwise(lines)):
        raise malformed("a line does not follow the one before")
    if (lines[0].seq == 1) != (lines[0].prev == FIRST):
        raise malformed("the first line, and no other, follows nothing")
    return lines


def write_rho(rho: Fraction) -> str:
    """`8388608/76125335`."""
    return f"{rho.numerator}/{rho.denominator}"


def read_rho(text: str) -> Fraction:
    """A positive fraction in its one spelling. Raises: Rejected("budget-malformed")."""
    if not _RHO.fullmatch(text) or write_rho(Fraction(text)) != text:
        raise malformed("rho: expected a fraction in lowest terms")
    return Fraction(text)


def malformed(message: str) -> Rejected:
    """The refusal of lines that are not of their form."""
    return Rejected("budget-malformed", message)


def _line(value: object) -> BudgetLine:
    fields = Fields(value, malformed, ("seq", "prev", "week", "rho", "what", "mechanism"))
    if fields.number("seq") < 1:
        raise malformed("seq: begins at 1")
    return BudgetLine(
        seq=fields.number("seq"),
        prev=fields.matching("prev", DIGEST),
        week=fields.matching("week", WEEK),
        rho=read_rho(fields.text("rho")),
        what=fields.one_of("what", WHAT),
        mechanism=fields.matching("mechanism", DIGEST),
    )
