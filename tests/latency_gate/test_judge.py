"""The gate's verdicts on made-up samples: with any of its checks deleted, one of these goes red."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from latency_gate.arms import check_personalised, shop_arms
from latency_gate.browser import server_timing
from latency_gate.judge import (
    BROKEN,
    OK,
    OVER,
    TOO_FEW,
    differences,
    is_green,
    is_open,
    judge_paired,
    judge_regression,
    judge_vitals,
)
from latency_gate.run import due, in_turn
from latency_gate.sample import Broken, Sample
from latency_gate.selftest import FAULTS, judge_fault

BUDGETS = tomllib.loads((Path(__file__).parents[2] / "benches/budgets.toml").read_text())["vitals"]["budgets"]


def load(arm, *, lcp=600.0, inp=32.0, swap=300.0, cls=0.0, broken=""):
    return Sample(arm, lcp_ms=lcp, cls=cls, inp_ms=inp, toggle_inp_ms=inp, swap_to_paint_ms=swap, broken=broken)


def good(n=59):
    return {
        "ours": [load("ours", lcp=600.0 + i % 5) for i in range(n)],
        "plain": [load("plain", lcp=590.0 + i % 5) for i in range(n)],
        "antiflicker": [load("antiflicker", lcp=1000.0 + i % 5) for i in range(n)],
    }


def every_third(lcp):
    """72 of our loads, and one of the anti-flicker page in every third round."""
    arms = {"ours": good(72)["ours"], "antiflicker": [load("antiflicker", lcp=lcp + i % 5) for i in range(24)]}
    for number, sample in enumerate(arms["ours"]):
        sample.round = number
    for number, sample in enumerate(arms["antiflicker"]):
        sample.round = 3 * number
    return arms


def statuses(arms):
    return {row.name: row.status for row in judge_vitals(arms, BUDGETS)}


def test_a_good_run_is_green():
    """Every row ok, and there are rows."""
    assert is_green(judge_vitals(good(), BUDGETS))


def test_no_rows_are_not_green():
    """A gate that judged nothing has passed nothing."""
    assert not is_green([])


@pytest.mark.parametrize(
    ("row", "change"),
    [
        ("lcp", {"lcp": 2301.0}),
        ("inp", {"inp": 184.0}),
        ("toggle-inp", {"inp": 184.0}),
        ("swap-to-paint", {"swap": 501.0}),
        ("cls", {"cls": 0.021}),
    ],
)
def test_one_load_over_budget_among_59_is_over(row, change):
    """59 loads forgive none."""
    arms = good()
    arms["ours"][17] = load("ours", **change)

    assert statuses(arms)[row] == OVER


@pytest.mark.parametrize(("slow", "open_for"), [(0, False), (1, True), (2, False), (3, False)])
def test_more_loads_are_taken_only_where_they_can_decide(slow, open_for):
    """98 loads forgive one above the budget: with none there is nothing to decide, with two nothing to hope for."""
    arms = good(72)
    for i in range(slow):
        arms["ours"][i] = load("ours", swap=900.0)

    assert is_open(judge_vitals(arms, BUDGETS), 98) is open_for


@pytest.mark.parametrize(("shift", "open_for"), [(0, False), (45, True), (60, False)])
def test_a_difference_that_pairs_have_not_decided_takes_more_pairs(shift, open_for):
    """Only while the estimate is within the budget and its interval is not: what is too slow is not asked again."""
    arms = {name: [load(name) for _ in range(72)] for name in ("ours", "plain")}
    spread = [200.0 * ((i * 37) % 72 / 72 - 0.5) for i in range(72)]
    arms["ours"] = [load("ours", lcp=600.0 + shift + more) for more in spread]

    assert is_open(judge_vitals(arms, BUDGETS), 98) is open_for


def test_one_hopeless_row_ends_the_run():
    """A second look cannot make a run green in which another row stays over."""
    arms = good(72)
    arms["ours"][0] = load("ours", swap=900.0)
    for i in range(3):
        arms["ours"][i] = load("ours", inp=400.0)

    assert not is_open(judge_vitals(arms, BUDGETS), 98)


def test_a_load_without_an_entry_is_broken_not_fast():
    """A missing number never counts as a small one."""
    arms = good()
    arms["ours"][3] = load("ours", lcp=None)

    assert statuses(arms)["lcp"] == BROKEN


def test_a_broken_load_breaks_every_row():
    """A load whose page misreported says nothing about any budget."""
    arms = good()
    arms["ours"][3] = load("ours", broken="the largest element is not an image")

    assert set(statuses(arms).values()) == {BROKEN}


def test_fewer_loads_than_59_are_too_few():
    """A run does not pass by measuring less."""
    assert statuses(good(58))["lcp"] == TOO_FEW


def test_150_ms_over_the_plain_page_is_over():
    """The paired row sees what the absolute budget forgives."""
    arms = good()
    arms["ours"] = [load("ours", lcp=740.0 + i % 5) for i in range(59)]

    assert statuses(arms)["lcp-over-plain"] == OVER
    assert statuses(arms)["lcp"] == OK


def test_slower_than_antiflicker_is_over():
    """Being ahead of the client-side swap is a row of its own."""
    arms = good()
    arms["antiflicker"] = [load("antiflicker", lcp=598.0 + i % 5) for i in range(59)]

    assert statuses(arms)["lcp-over-antiflicker"] == OVER


@pytest.mark.parametrize("lcp", [700.0, 900.0])
def test_an_arm_of_every_third_round_is_compared_with_our_loads_of_those(lcp):
    """The rounds between are no pairs, with any figures in them."""
    arms = every_third(lcp)
    for sample in arms["ours"]:
        sample.lcp_ms = 600.0 + sample.round % 5 if sample.round % 3 == 0 else 2_000.0
    row = next(row for row in judge_vitals(arms, BUDGETS) if row.name == "lcp-over-antiflicker")

    assert row.status == OK
    assert row.measured == pytest.approx(600 - lcp, abs=5)


def test_a_lost_load_of_an_arm_of_every_third_round_is_broken():
    """Twenty-four loads of which one reported nothing are not twenty-three."""
    arms = every_third(1_000.0)
    arms["antiflicker"][7].lcp_ms = None

    assert statuses(arms)["lcp-over-antiflicker"] == BROKEN


def test_each_arm_is_first_as_often_as_the_others():
    """In rounds of two and in the rounds of three: what drifts, drifts for all."""
    arms = [arm for arm in shop_arms("http://shop") if arm.name in ("ours", "plain", "antiflicker")]
    orders = [[arm.name for arm in in_turn(due(arms, turn), turn)] for turn in range(72)]
    first = {size: Counter(order[0] for order in orders if len(order) == size) for size in (2, 3)}

    assert [len(order) for order in orders] == [3, 2, 2] * 24
    assert first[2] == {"ours": 24, "plain": 24}
    assert first[3] == {"ours": 8, "plain": 8, "antiflicker": 8}


def test_unequal_arms_are_a_bug_of_the_gate():
    """Pairs are pairs: a lost sample may not shift them."""
    with pytest.raises(ValueError, match="zip"):
        judge_paired("x", [load("ours")] * 3, [load("plain")] * 2, lambda base: base)


def test_regression_needs_both_significance_and_size():
    """A significant 10 ms is not a regression, a significant 60 ms is."""
    base = [500.0 + i for i in range(25)]

    assert judge_regression("lcp", [value + 10 for value in base], base).status == OK
    assert judge_regression("lcp", [value + 60 for value in base], base).status == OVER


@pytest.mark.parametrize(
    "headers",
    [
        {"consent-edge-code": "no-token", "server-timing": "token;dur=0.1"},
        {"server-timing": "decide;dur=1"},
        {},
    ],
)
def test_a_default_picture_cannot_pass_for_a_personalised_one(headers):
    """A code says default; no token timing says that no token was checked."""
    with pytest.raises(Broken):
        check_personalised(headers)


def test_server_timing_is_read_by_name():
    """Durations are milliseconds; a metric without one counts as present."""
    assert server_timing("token;dur=0.12, decide;dur=2, hit") == {"token": 0.12, "decide": 2.0, "hit": 0.0}


def test_selftest_accepts_only_the_fault_s_own_reason():
    """Red for another reason does not count as caught."""
    arms = good(8)
    arms["ours"] = [load("ours", broken="no token was checked for the largest image") for _ in range(8)]
    missing = next(fault for fault in FAULTS if fault.name == "missing-entry")
    outcome = judge_fault(missing, judge_vitals(arms, BUDGETS))

    assert not outcome.passed


def test_selftest_refuses_a_gate_that_stays_green():
    """A fault that nothing noticed fails the self-test."""
    rows = judge_vitals(good(8), BUDGETS)

    assert [judge_fault(fault, rows).passed for fault in FAULTS] == [False] * len(FAULTS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"machine": {"cpu": "a", "cores": 2, "commit": "other"}}, []),
        ({"machine": {"cpu": "b", "cores": 4, "commit": "x"}}, ["another machine: cores, cpu"]),
        ({"machine": {}}, ["another machine: cores, cpu"]),
        ({"taken_at": 1_800_000_000 + 3_600}, []),
        ({"taken_at": 1_800_000_000 + 7 * 3_600}, ["taken 7 h apart"]),
    ],
)
def test_a_base_of_another_machine_or_hour_is_said(change, said):
    """A commit may differ: it is what is compared."""
    base = {"machine": {"cpu": "a", "cores": 2, "commit": "x"}, "taken_at": 1_800_000_000}

    assert differences(base, {**base, **change}) == said
