"""A simulated deployment adds up as visitors one by one would, keeps its budget, and learns."""

import json

import numpy as np
import pytest

from consent_core.privacy.clipping import FIGURES, clipped
from consent_core.privacy.grid import SENSITIVITY2, to_grid
from consent_core.privacy.mechanism import Mechanism
from edge_cli.commands.simulate import _weeks
from simulator.learning import report
from simulator.learning.shop import ASSETS, Shop
from simulator.learning.weeks import Deployment, _contributions, greedy_rate, play, probabilities

FIVE = Mechanism.promising(5, "5", "1e-5", "0.4")


@pytest.fixture(scope="module")
def shop():
    return Shop.open()


@pytest.fixture(scope="module")
def learnt(shop):
    """Six weeks of four large places, without noise and with it."""
    return {noised: list(play(shop, Deployment(4, 5000, FIVE, noised=noised), 6)) for noised in (True, False)}


def test_tastes_are_known_and_worth_finding(shop):
    """The best is far above uniform, and not what the features say before anything is learnt."""
    assert shop.best > 1.8 * shop.uniform
    assert shop.lift(shop.uniform) == 0
    assert shop.lift(shop.best) == 1
    assert shop.clicks.shape == (288, len(ASSETS))


def test_every_possible_contribution_keeps_to_the_clip(shop):
    """3,456 of them, in whole numbers."""
    possible = _contributions(shop, np.full(2048, 0.3), 0.4)

    assert possible.shape == (2 * 288 * 6, 2048 + FIGURES)
    assert (np.square(possible).sum(axis=1) <= SENSITIVITY2).all()


def test_counting_visitors_is_adding_them_one_by_one(shop):
    """A hundred visitors: counts times contributions is the sum of each one's own."""
    possible = _contributions(shop, np.zeros(2048), 0.4)
    visitors = np.random.default_rng(2).integers(0, len(possible), 100)
    counts = np.bincount(visitors, minlength=len(possible)).astype(float)

    assert ((counts @ possible) == sum(possible[visitor] for visitor in visitors)).all()


def test_an_operator_is_told_the_click_rate_within_the_noise(learnt):
    """From figures that came out of the same noise, at no further cost."""
    for week in learnt[True][1:]:
        assert abs(week.told - week.served) < 6 * week.told_error + 0.006
    assert all(week.told_error == 0 for week in learnt[False])


def test_the_budget_is_full_after_five_weeks_and_never_fuller(learnt):
    """Of the worst place."""
    spent = [week.spent for week in learnt[True]]

    assert spent == sorted(spent)
    assert spent[4] == spent[5] <= float(FIVE.promised)


def test_it_learns_under_noise(shop, learnt):
    """Most of what is possible within six weeks, where places are large."""
    assert shop.lift(learnt[False][-1].greedy) > 0.8
    assert shop.lift(learnt[True][-1].greedy) > 0.7


def test_knowing_nothing_shows_anything(shop):
    """Equal shares; then fourteen of sixteen for the best."""
    assert (probabilities(shop, np.zeros(2048)) == 1 / len(ASSETS)).all()
    shown = probabilities(shop, np.random.default_rng(1).normal(0, 1, 2048))

    assert shown.sum(axis=1) == pytest.approx(np.ones(288))
    assert (shown.max(axis=1) == 14 / 16).all()
    assert 0 < greedy_rate(shop, np.ones(2048)) < shop.best


def test_a_report_holds_every_promise_and_its_pictures(tmp_path, monkeypatch):
    """One week, two places: numbers, and both pictures in both forms."""
    told = []
    monkeypatch.setattr(report, "EPSILONS", ("5",))
    document = report.compare(1, 2, 100, 1, lambda *at: told.append(at))
    report.write(document, tmp_path)

    assert told == [(1, 2), (2, 2)]
    assert [run["epsilon"] for run in json.loads((tmp_path / "learn.json").read_text())["runs"]] == ["no noise", "5"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "learn.json",
        "ctr.svg",
        "ctr.png",
        "budget.svg",
        "budget.png",
    }
    assert document["gate"]["judged"] is False
    assert document["gate"]["passed"] is True


def test_a_long_run_that_learns_too_little_fails():
    """The gate looks at the mean of the last four weeks under the policy's promise."""
    runs = [{"epsilon": "5", "weeks": [{"lift": lift} for lift in (*[0.99] * 13, 0.9, 0.9, 0.9, 0.8)]}]

    assert report._gate(runs, 17, 1000)["passed"] is False
    assert report._gate(runs, 17, 300)["passed"] is True


@pytest.mark.parametrize("text", ["0w", "105w", "-3w", "w", "3d", "1.5w"])
def test_other_times_than_weeks_are_refused(text):
    """As a usage error."""
    with pytest.raises(ValueError, match="expected"):
        _weeks(text)
    assert _weeks("17w") == 17


def test_what_is_clipped_fits_the_grid():
    """The simulator's figures fill their share."""
    vector = np.zeros(2048 + FIGURES)
    vector[-FIGURES:][:2] = 0.05**0.5 * 0.4

    assert to_grid(clipped(vector, 0.4), 0.4).tolist()[-FIGURES:][:2] == [915, 915]
