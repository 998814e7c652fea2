"""What a policy decides, for people: jurisdiction x category x signal with the rule that decided.

rich.print(policy_table(table))
"""

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from consent_core.formats.token import CATEGORIES
from consent_core.policy.evaluation import Evaluation
from consent_core.policy.table import ADULT, AGE_BANDS, Effective, PolicyTable

CHOSEN = "chosen"
CHOSEN_GPC = "chosen, GPC"
NOTICE = "after notice"
NOTICE_GPC = "after notice, GPC"


def signals(table: PolicyTable, jurisdiction: str) -> dict[str, Effective]:
    """What becomes of choosing everything, or of notice alone, under each signal and age band."""
    younger = {
        f"chosen, {band}": table.at_issue(jurisdiction, False, band, CATEGORIES)
        for band in reversed(AGE_BANDS)
        if band != ADULT
    }
    return {
        CHOSEN: table.at_issue(jurisdiction, False, ADULT, CATEGORIES),
        CHOSEN_GPC: table.at_issue(jurisdiction, True, ADULT, CATEGORIES),
        **younger,
        NOTICE: table.after_notice(jurisdiction, False, ADULT),
        NOTICE_GPC: table.after_notice(jurisdiction, True, ADULT),
    }


def decisions(table: PolicyTable) -> Iterator[dict[str, Any]]:
    """One row per jurisdiction, category and signal, with the deciding rule, its source and its clause."""
    for jurisdiction in table.jurisdictions:
        for signal, answer in signals(table, jurisdiction).items():
            for category in CATEGORIES:
                rule = table.rules[answer.reasons[category]]
                yield {
                    "jurisdiction": jurisdiction,
                    "category": category,
                    "signal": signal,
                    "effective": rule.effective,
                    "rule": rule.id,
                    "source": rule.source,
                    "clause": rule.clause,
                }


def policy_table(table: PolicyTable) -> RichTable:
    """The decisions as a terminal table: a row per jurisdiction and category, a column per signal."""
    columns = list(signals(table, table.jurisdictions[0]))
    title = "Who may see what, and which rule decided"
    drawn = RichTable("law", Column("category", no_wrap=True), *columns, title=title, box=SIMPLE_HEAD, show_edge=False)
    drawn.padding = (0, 1, 0, 0)  # whole in a terminal of 80 columns
    for jurisdiction in table.jurisdictions:
        answers = signals(table, jurisdiction)
        for category in CATEGORIES:
            cells = [_cell(table, answers[column], jurisdiction, category) for column in columns]
            drawn.add_row(jurisdiction, category, *cells, end_section=category == CATEGORIES[-1])
    return drawn


def rules_table(table: PolicyTable) -> RichTable:
    """Every rule that decided something, with its source in law and the clause that people read."""
    drawn = RichTable("rule", "source", "clause", title="Where the rules come from", box=SIMPLE_HEAD, show_edge=False)
    for rule in sorted(table.rules.values(), key=lambda rule: rule.id):
        drawn.add_row(rule.id, rule.source, rule.clause)
    return drawn


def evaluation_value(evaluation: Evaluation) -> dict[str, Any]:
    """The report as JSON: tests, built-ins in use, and every decision."""
    return {
        "tests": [{"name": t.name, "file": t.file, "passed": t.passed} for t in evaluation.tests],
        "builtins": list(evaluation.builtins),
        "decisions": list(decisions(evaluation.table)),
    }


def _cell(table: PolicyTable, answer: Effective, jurisdiction: str, category: str) -> Text:
    rule = table.rules[answer.reasons[category]]
    outcome = rule.id.removeprefix(f"{jurisdiction}-{category}-".lower())
    return Text(f"yes  {outcome}", "green") if rule.effective else Text(f"no   {outcome}", "red")
