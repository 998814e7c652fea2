"""The decision table: every answer of `consent_edge.consent`, evaluated once at publish and signed.

    table.lookup("US-CA", True, ("contextual", "behavioral")).categories == ("contextual",)

The inputs are finite (jurisdiction x Global Privacy Control x age band x choices), so a POP looks up instead of
evaluating. Reading a table checks what no table may break: an answer never holds more than the choices, the
signal never adds anything, and an unknown place (`ZZ`) never allows more than any known one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations, product
from types import MappingProxyType
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.token import CATEGORIES

AGE_BANDS = ("under-13", "13-15", "adult")
ADULT = "adult"
YOUNGEST = "under-13"
UNKNOWN = "ZZ"
SIGNALS = (False, True)
ALL = 2 ** len(CATEGORIES)


@dataclass(frozen=True, slots=True)
class Rule:
    """Why a category is effective or not: the source in law and the clause that people read."""

    id: str
    source: str
    clause: str
    effective: bool


@dataclass(frozen=True, slots=True)
class Law:
    """The law of one jurisdiction. `notice`: the clause shown there. `honours_gpc`: the signal stops something."""

    jurisdiction: str
    name: str
    notice: str
    honours_gpc: bool


@dataclass(frozen=True, slots=True)
class Effective:
    """What policy makes of some choices, with the id of the deciding rule for each category.

    `jurisdiction` is the one applied (`ZZ` if the asked one is unknown); `gpc_honoured`: a signal came and counts.
    """

    categories: tuple[str, ...]
    reasons: Mapping[str, str]
    jurisdiction: str
    gpc_honoured: bool


_Place = tuple[str, bool, str]  # jurisdiction, signal, age band


class PolicyTable:
    """The evaluated policy. Immutable; safe to share between threads."""

    def __init__(
        self,
        laws: Mapping[str, Law],
        rules: Mapping[str, Rule],
        chosen: Mapping[_Place, tuple[Effective, ...]],
        noticed: Mapping[_Place, Effective],
    ) -> None:
        """`chosen`: per place, the answer to each set of choices by its bit mask over `CATEGORIES`.

        Raises: Untrusted("bundle-table") if the table breaks what no table may break.
        """
        self.laws = laws
        self.rules = rules
        self._chosen = chosen
        self._noticed = noticed
        _check(chosen, noticed)
        self._adult = {
            (jurisdiction, gpc, spelling): answers[_mask(spelling)]
            for (jurisdiction, gpc, age_band), answers in chosen.items()
            if age_band == ADULT
            for spelling in _spellings()
        }

    def lookup(self, jurisdiction: str, gpc: bool, choices: tuple[str, ...] | frozenset[str]) -> Effective:
        """What is effective now for a token whose scopes are `choices`.

        Age was applied when the token was issued, so this asks for adults. Unknown jurisdiction: `ZZ`.
        """
        found = self._adult.get((jurisdiction, gpc, choices))
        return self.at_issue(jurisdiction, gpc, ADULT, choices) if found is None else found

    def at_issue(self, jurisdiction: str, gpc: bool, age_band: str, choices: Iterable[str]) -> Effective:
        """What a person's choices come to when a token is issued. Unknown age band: the youngest."""
        return self._chosen[self._place(jurisdiction, gpc, age_band)][_mask(choices)]

    def after_notice(self, jurisdiction: str, gpc: bool, age_band: str) -> Effective:
        """What may be effective after notice alone, before the person has chosen; nothing where the law is opt-in."""
        return self._noticed[self._place(jurisdiction, gpc, age_band)]

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Every known jurisdiction, `ZZ` last."""
        return tuple(sorted(self.laws))

    def _place(self, jurisdiction: str, gpc: bool, age_band: str) -> _Place:
        return (
            jurisdiction if jurisdiction in self.laws else UNKNOWN,
            gpc is not False,
            age_band if age_band in AGE_BANDS else YOUNGEST,
        )

    def to_value(self) -> dict[str, Any]:
        """The table as JSON; `PolicyTable.from_value(t.to_value())` answers the same."""
        ids = sorted(self.rules)
        number = {rule: position for position, rule in enumerate(ids)}
        return {
            "categories": list(CATEGORIES),
            "age_bands": list(AGE_BANDS),
            "laws": {
                law.jurisdiction: {"name": law.name, "notice": law.notice, "honours_gpc": law.honours_gpc}
                for law in self.laws.values()
            },
            "rules": [_rule_value(self.rules[rule]) for rule in ids],
            "rows": {
                _place_name(place): {
                    "choices": [_row(answer, number) for answer in answers],
                    "notice": _row(self._noticed[place], number),
                }
                for place, answers in self._chosen.items()
            },
        }

    @classmethod
    def from_value(cls, value: Any) -> "PolicyTable":
        """A table from the JSON of a verified bundle. Raises: Untrusted("bundle-table")."""
        try:
            return _read(value)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise Untrusted("bundle-table", "the decision table is damaged or incomplete") from error


def places(jurisdictions: Iterable[str]) -> Iterator[_Place]:
    """Every combination a table must answer."""
    return product(sorted(jurisdictions), SIGNALS, AGE_BANDS)


def choices_of(mask: int) -> tuple[str, ...]:
    """The categories of a bit mask, in canonical order."""
    return tuple(category for bit, category in enumerate(CATEGORIES) if mask >> bit & 1)


def _mask(choices: Iterable[str]) -> int:
    """The bit mask of choices; what is no category is not a choice."""
    chosen = frozenset(choices)
    return sum(1 << bit for bit, category in enumerate(CATEGORIES) if category in chosen)


def _spellings() -> Iterator[tuple[str, ...] | frozenset[str]]:
    """Every tuple and frozenset that names a set of categories."""
    for size in range(len(CATEGORIES) + 1):
        yield from permutations(CATEGORIES, size)
    for mask in range(ALL):
        yield frozenset(choices_of(mask))


def _check(chosen: Mapping[_Place, tuple[Effective, ...]], noticed: Mapping[_Place, Effective]) -> None:
    for place, answers in chosen.items():
        _require(len(answers) == ALL, place, "an answer is missing")
        for mask, answer in enumerate(answers):
            _require(_mask(answer.categories) & ~mask == 0, place, "more than was chosen")
            _check_strictness(place, answer, lambda other, mask=mask: chosen[other][mask])
        _check_strictness(place, noticed[place], lambda other: noticed[other])


def _check_strictness(place: _Place, answer: Effective, at: Any) -> None:
    """The signal never widens, a younger person never gets more, and the unknown place never exceeds a known one."""
    jurisdiction, gpc, age_band = place
    allowed = set(answer.categories)
    _require(not gpc or allowed <= set(at((jurisdiction, False, age_band)).categories), place, "the signal widens")
    _require(set(at((UNKNOWN, gpc, age_band)).categories) <= allowed, place, f"{UNKNOWN} allows more")
    older = AGE_BANDS[min(AGE_BANDS.index(age_band) + 1, len(AGE_BANDS) - 1)]
    _require(allowed <= set(at((jurisdiction, gpc, older)).categories), place, "a younger person gets more")


def _require(condition: bool, place: _Place, broken: str) -> None:
    if not condition:
        raise Untrusted("bundle-table", f"{_place_name(place)}: {broken}")


def _place_name(place: _Place) -> str:
    jurisdiction, gpc, age_band = place
    return f"{jurisdiction}/{'gpc' if gpc else '-'}/{age_band}"


def _row(answer: Effective, number: Mapping[str, int]) -> list[int]:
    """The mask of the effective categories, then the number of the rule for each category."""
    return [_mask(answer.categories), *(number[answer.reasons[category]] for category in CATEGORIES)]


def _rule_value(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "source": rule.source, "clause": rule.clause, "effective": rule.effective}


def _read(value: Any) -> PolicyTable:
    if value["categories"] != list(CATEGORIES) or value["age_bands"] != list(AGE_BANDS):
        raise ValueError("other categories or age bands")
    laws = {code: _law(code, law) for code, law in value["laws"].items()}
    rules = [_rule(rule) for rule in value["rules"]]
    wanted = {_place_name(place): place for place in places(laws)}
    if value["rows"].keys() != wanted.keys():
        raise ValueError("a place is missing")
    chosen, noticed = {}, {}
    for name, place in wanted.items():
        row = value["rows"][name]
        chosen[place] = tuple(_answer(entry, rules, laws, place) for entry in row["choices"])
        noticed[place] = _answer(row["notice"], rules, laws, place)
    return PolicyTable(laws, {rule.id: rule for rule in rules}, chosen, noticed)


def _law(code: str, law: Any) -> Law:
    return Law(code, _text(law["name"]), _text(law["notice"]), law["honours_gpc"] is True)


def _rule(rule: Any) -> Rule:
    return Rule(_text(rule["id"]), _text(rule["source"]), _text(rule["clause"]), rule["effective"] is True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value


def _answer(row: list[int], rules: list[Rule], laws: Mapping[str, Law], place: _Place) -> Effective:
    mask, *numbers = row
    decided = {category: rules[number] for category, number in zip(CATEGORIES, numbers, strict=True)}
    categories = tuple(category for category, rule in decided.items() if rule.effective)
    if min(numbers) < 0 or _mask(categories) != mask:
        raise ValueError("a row and its rules disagree")
    reasons = MappingProxyType({category: rule.id for category, rule in decided.items()})
    return Effective(categories, reasons, place[0], place[1] and laws[place[0]].honours_gpc)
