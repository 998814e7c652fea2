"""Micro rows and report files."""

import json
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from latency_gate.judge import ADVISORY, BROKEN, OK, OVER, judge_vitals
from latency_gate.micro import judge_micro, read_results
from latency_gate.report import write_html, write_json, write_junit
from latency_gate.run import Result

from .test_judge import BUDGETS, good, load


def results(**medians):
    def stats(value):
        return {"median": value, "ops": 1 / value, "rounds": 10, "data": [value] * 9 + [10 * value]}

    return {name: {"name": name, "stats": stats(value)} for name, value in medians.items()}


@pytest.mark.parametrize(
    ("budget", "status"),
    [
        ({"bench": "a", "statistic": "median", "budget_us": 2000}, OK),
        ({"bench": "a", "statistic": "median", "budget_us": 900}, OVER),
        ({"bench": "a", "statistic": "p99", "budget_us": 2000}, OVER),
        ({"bench": "b", "over": "a", "statistic": "ops", "at_least": 0.4}, OK),
        ({"bench": "b", "over": "a", "statistic": "ops", "at_least": 0.6}, OVER),
        ({"bench": "b", "over": "a", "statistic": "median", "at_most": 1.3}, OVER),
        ({"bench": "c", "statistic": "median", "budget_us": 900}, BROKEN),
        ({"bench": "a", "statistic": "median", "budget_us": 900, "advisory": "known"}, ADVISORY),
        ({"bench": "c", "statistic": "median", "budget_us": 900, "advisory": "known"}, BROKEN),
    ],
)
def test_micro_rows(budget, status):
    """Absolute times, ratios against a same-run baseline, and a benchmark that did not run."""
    (row,) = judge_micro([{"row": "x", **budget}], results(a=0.001, b=0.002))

    assert row.status == status


def test_results_are_read_from_several_files(tmp_path):
    """Each suite writes its own file."""
    for name in ("one", "two"):
        record = {"benchmarks": [{"name": f"test_{name}", "stats": {}}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))

    assert set(read_results(sorted(tmp_path.glob("*.json")))) == {"test_one", "test_two"}


def test_report_files_say_the_same(tmp_path):
    """JSON, JUnit and HTML carry the verdict of the rows."""
    arms = good()
    arms["ours"][0] = load("ours", lcp=9000.0)
    result = Result("cdp-150ms-1.6mbit-cpu4", arms, judge_vitals(arms, BUDGETS))
    write_json(result, tmp_path / "vitals.json")
    write_junit("vitals", result.rows, tmp_path / "vitals.xml")
    write_html(result, BUDGETS, tmp_path / "vitals.html")

    failures = ET.parse(tmp_path / "vitals.xml").getroot().findall("testcase/failure")
    assert json.loads((tmp_path / "vitals.json").read_text())["green"] is False
    assert [failure.get("type") for failure in failures] == ["over"]
    page = (tmp_path / "vitals.html").read_text()
    assert page.count("<svg") == 5
    assert ">red<" in page


def test_an_arm_of_every_third_round_is_drawn_against_ours_of_the_same_rounds(tmp_path):
    """The gate loads one arm in every third round: the report pairs by round, as the judgement does."""
    arms = good()
    for samples in arms.values():
        for number, sample in enumerate(samples):
            sample.round = number
    arms["antiflicker"] = arms["antiflicker"][::3]
    result = Result("cdp-150ms-1.6mbit-cpu4", arms, judge_vitals(arms, BUDGETS))

    write_html(result, BUDGETS, tmp_path / "vitals.html")

    assert (tmp_path / "vitals.html").read_text().count("<svg") == 5


def test_every_row_names_a_benchmark_that_there_is():
    """A renamed benchmark is found here, not after the whole gate has run."""
    benches = Path(__file__).parents[2] / "benches"
    rows = tomllib.loads((benches / "budgets.toml").read_text())["micro"]
    named = {name.partition("[")[0] for row in rows for name in (row["bench"], row.get("against")) if name}
    written = set(re.findall(r"^def (test_\w+)", "".join(path.read_text() for path in benches.glob("*.py")), re.M))

    assert named - written == set()
