"""What `edge policy test` shows, and the words behind it."""

import io

from rich.console import Console

from consent_core.policy.report import CHOSEN, CHOSEN_GPC, NOTICE, decisions, evaluation_value, policy_table


def test_every_cell_names_the_rule_that_decided(table):
    """Seven laws, three categories, six signals."""
    rows = list(decisions(table))
    cells = {(row["jurisdiction"], row["category"], row["signal"]): row for row in rows}

    assert len(cells) == len(rows) == 7 * 3 * 6
    assert all(row["rule"] and row["source"] and row["clause"] for row in rows)
    assert cells["US-CA", "behavioral", CHOSEN_GPC]["rule"] == "us-ca-behavioral-gpc"
    assert cells["US-CA", "behavioral", NOTICE]["effective"] is True
    assert cells["EU", "behavioral", CHOSEN]["source"].startswith("GDPR")


def test_the_terminal_table_reads_well(table):
    """A row per law and category; yes or no, and why."""
    console = Console(file=io.StringIO(), width=160)
    console.print(policy_table(table))
    lines = console.file.getvalue().splitlines()

    assert sum("US-CA" in line for line in lines) == 3
    assert any("US-CA" in line and "behavioral" in line and "no   gpc" in line for line in lines)


def test_the_json_report_is_complete(published):
    """Tests, built-ins and decisions."""
    value = evaluation_value(published.evaluation)

    assert value.keys() == {"tests", "builtins", "decisions"}
    assert all(test["passed"] for test in value["tests"])
    assert "http.send" not in value["builtins"]


def test_every_clause_has_a_heading_and_plain_words(sources):
    """Every rule, law and approval finds its words, and no sentence is longer than a person reads."""
    for clause in sources.clauses.values():
        sentences = clause.text.replace(":", ".").replace(";", ".").split(".")

        assert clause.title
        assert max(len(sentence.split()) for sentence in sentences) <= 45, clause.id


def test_retention_is_told_as_it_is(sources):
    """The periods that people read are those of the design: 7 and 14 days."""
    for clause_id in ("category-behavioral", "retention", "notice-us-ca"):
        assert "7 days" in sources.clauses[clause_id].text
    for clause_id in ("category-experimental", "retention", "notice-us-ca"):
        assert "14 days" in sources.clauses[clause_id].text
