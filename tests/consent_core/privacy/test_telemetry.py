"""One bit with local differential privacy: what a sum tells, what a device may give away, and what is too few."""

import itertools
import math

import numpy as np
import pytest

from consent_core.errors import Rejected
from consent_core.privacy.telemetry import (
    EPSILON,
    LEAST,
    MOST_A_YEAR,
    SAID,
    YEAR_DAYS,
    Reports,
    drawn_days,
    estimate,
    randomised,
)

DAYS = 1_000
P = math.e / (1 + math.e)


def whole(number):
    return lambda size: number.to_bytes(size)


@pytest.mark.parametrize("devices", [20, 100, 1_000, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_the_interval_covers_the_truth(devices, share):
    """On at least 93 of 100 simulated days, at each of three true shares, drawn from a seed."""
    draw, truth = np.random.default_rng([devices, int(share * 10)]), round(devices * share)
    sums = draw.binomial(truth, P, DAYS) + draw.binomial(devices - truth, 1 - P, DAYS)

    assert sum(estimate(int(ones), devices).covers(truth) for ones in sums) >= 0.93 * DAYS


def test_a_report_tells_the_truth_in_e_of_1_and_e_cases():
    """By 64 random bits: the last number below the threshold tells it, the next one does not."""
    last = round(P * 2**64) - 1

    assert [randomised(bit, whole(last)) for bit in (True, False)] == [True, False]
    assert [randomised(bit, whole(last + 1)) for bit in (True, False)] == [False, True]
    assert math.log((last + 1) / (2**64 - last - 1)) == pytest.approx(EPSILON, abs=1e-9)


def test_the_ninth_report_of_a_year_is_refused():
    """However the days lie, no 365 of them hold nine; at the end of that time one is free again."""
    reports = Reports()
    for day in range(20_000, 20_000 + MOST_A_YEAR):
        reports = reports.with_day(day)
    for day in (20_000 + MOST_A_YEAR, 20_000 + YEAR_DAYS - 1, 19_900):
        with pytest.raises(Rejected) as refused:
            reports.with_day(day)
        assert (refused.value.code, refused.value.status) == ("telemetry-cap", 429)

    assert len(reports.with_day(20_000 + YEAR_DAYS).days) == MOST_A_YEAR


def test_a_day_is_spent_once():
    """A second report of a day would halve the noise about it."""
    with pytest.raises(Rejected) as refused:
        Reports((20_000,)).with_day(20_000)

    assert (refused.value.code, refused.value.status) == ("telemetry-repeat", 409)


def test_the_days_of_a_year_are_drawn():
    """Eight different ones of the year, each as likely as any other."""
    numbers = itertools.count()
    days = drawn_days(20_000, lambda size: (next(numbers) * 7 % YEAR_DAYS).to_bytes(size))

    assert len(set(days)) == MOST_A_YEAR
    assert all(0 <= day - 20_000 < YEAR_DAYS for day in days)
    assert drawn_days(20_000, np.random.default_rng(1).bytes) != drawn_days(20_000, np.random.default_rng(2).bytes)


def test_a_few_devices_are_no_number():
    """Below 100 the dashboard says so; from there on it says the interval, also below zero."""
    assert estimate(50, LEAST - 1).sentence() == "too few: 99 devices of at least 100"
    assert estimate(431, 1_000).sentence() == "35% ± 6% of 1000 devices"
    assert estimate(200, 1_000).value < 0
    assert estimate(200, 1_000).sentence().startswith("-15%")


@pytest.mark.parametrize(("ones", "reports"), [(-1, 5), (6, 5)])
def test_a_sum_that_no_reports_give_is_refused(ones, reports):
    """Counted wrong, or made up."""
    with pytest.raises(ValueError, match="ones"):
        estimate(ones, reports)


@pytest.mark.parametrize(("reports", "found_out"), [(8, "91 of 100"), (30, "99.6 of 100")])
def test_what_reports_give_away_is_said(reports, found_out):
    """A device whose answer never changes: by the majority, where a tie is a coin."""
    wins = sum(math.comb(reports, k) * P**k * (1 - P) ** (reports - k) for k in range(reports // 2 + 1, reports + 1))
    tie = math.comb(reports, reports // 2) * (P * (1 - P)) ** (reports // 2)
    share = 100 * (wins + tie / 2)

    assert found_out in SAID
    assert share == pytest.approx(float(found_out.split()[0]), abs=0.6)
