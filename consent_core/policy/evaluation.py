"""From Rego to the decision table: every input asked once, every answer checked against the catalogue of rules."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.token import CATEGORIES
from consent_core.policy.examination import Query, RuleTest, examine
from consent_core.policy.sources import Sources
from consent_core.policy.table import ALL, Effective, Law, PolicyTable, Rule, choices_of, places

DECISION = "consent_edge/consent/decision"
CATALOGUE = "consent_edge/consent/catalogue"
# What must say no to a caller that states nothing.
CLOSED = ("personalization/authz/allow", "consent_edge/placement/allow")

_Place = tuple[str, bool, str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A policy that passed: its table, the tests that ran and the built-ins it uses."""

    table: PolicyTable
    tests: tuple[RuleTest, ...]
    builtins: tuple[str, ...]


def evaluate(sources: Sources) -> Evaluation:
    """Test the policy and evaluate its table, away from this process.

    Raises: Rejected("policy-builtin" | "policy-compile" | "policy-engine" | "policy-test" | "policy-open" |
    "policy-table").
    """
    parts = {"modules": dict(sources.modules), "tests": dict(sources.tests), "data": sources.data}
    return _evaluate(canonical_json(parts).decode("utf-8"))


@lru_cache(maxsize=4)
def _evaluate(parts: str) -> Evaluation:
    """Seconds of work that depend on nothing but these texts."""
    sources = Sources(**json.loads(parts), clauses={})
    closed: list[Query] = [(entrypoint, {}) for entrypoint in CLOSED]
    first = examine(sources.modules, sources.data, [(CATALOGUE, {}), *closed], sources.tests)
    _check_tests(sources, first.tests)
    if any(answer is not False for answer in first.answers[1:]):
        raise Rejected("policy-open", f"expected a default of no: {', '.join(CLOSED)}", status=422)
    return Evaluation(evaluate_table(sources, first.answers[0]), first.tests, first.builtins)


def evaluate_table(sources: Sources, catalogue: Any) -> PolicyTable:
    """The table of the laws and rules in a catalogue. Raises: Rejected("policy-table")."""
    try:
        laws, rules = _laws(catalogue), _rules(catalogue)
        asked = [(place, mask) for place in places(laws) for mask in range(ALL)]
        queries = [(DECISION, decision_input(place, choices_of(mask))) for place, mask in asked]
        answers = dict(zip(asked, examine(sources.modules, sources.data, queries).answers, strict=True))
        chosen = {p: tuple(_chosen(answers[p, mask], rules) for mask in range(ALL)) for p in places(laws)}
        noticed = {p: _noticed([answers[p, mask] for mask in range(ALL)], rules) for p in places(laws)}
        table = PolicyTable(laws, rules, chosen, noticed)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Rejected("policy-table", f"an answer is not of the agreed form: {error}", status=422) from error
    except Untrusted as error:
        raise Rejected("policy-table", error.message, status=422) from error
    _check_every_rule_decides(table, [*(a for row in chosen.values() for a in row), *noticed.values()])
    return table


def decision_input(place: _Place, choices: tuple[str, ...]) -> dict[str, Any]:
    """The input of `consent_edge.consent.decision`."""
    jurisdiction, gpc, age_band = place
    return {"jurisdiction": jurisdiction, "gpc": gpc, "age_band": age_band, "choices": list(choices)}


def _check_tests(sources: Sources, tests: tuple[RuleTest, ...]) -> None:
    failed = [test.name for test in tests if not test.passed]
    if failed:
        raise Rejected("policy-test", f"failed: {', '.join(failed)}", status=422)
    untested = {_folder(path) for path in sources.modules} - {_folder(test.file) for test in tests}
    if untested:
        raise Rejected("policy-test", f"no test for {', '.join(sorted(untested))}", status=422)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _check_every_rule_decides(table: PolicyTable, answers: list[Effective]) -> None:
    idle = table.rules.keys() - {rule for answer in answers for rule in answer.reasons.values()}
    if idle:
        raise Rejected("policy-table", f"rules that never decide: {', '.join(sorted(idle))}", status=422)


def _laws(catalogue: Any) -> dict[str, Law]:
    return {
        code: Law(code, law["name"], law["notice"], law["honours_gpc"])
        for code, law in catalogue["jurisdictions"].items()
    }


def _rules(catalogue: Any) -> dict[str, Rule]:
    return {
        rule_id: Rule(rule_id, rule["source"], rule["clause"], rule["effective"])
        for rule_id, rule in catalogue["rules"].items()
    }


def _chosen(answer: Any, rules: Mapping[str, Rule]) -> Effective:
    return _effective(answer, answer["categories"], answer["reasons"], rules)


def _noticed(answers: list[Any], rules: Mapping[str, Rule]) -> Effective:
    """What notice alone leads to cannot depend on choices."""
    if any(answer["after_notice_reasons"] != answers[0]["after_notice_reasons"] for answer in answers):
        raise ValueError("after_notice depends on the choices")
    return _effective(answers[0], answers[0]["after_notice"], answers[0]["after_notice_reasons"], rules)


def _effective(answer: Any, categories: list[str], reasons: dict[str, str], rules: Mapping[str, Rule]) -> Effective:
    decided = {category: rules[reasons[category]] for category in CATEGORIES}
    if tuple(categories) != tuple(_allowed(decided)):
        raise ValueError("categories and reasons disagree")
    by_category = {category: rule.id for category, rule in decided.items()}
    return Effective(tuple(categories), by_category, answer["jurisdiction"], answer["gpc_honoured"])


def _allowed(decided: Mapping[str, Rule]) -> Iterator[str]:
    return (category for category, rule in decided.items() if rule.effective)
