"""The capacity model: the page says what it says, and it answers to its inputs."""

import json
from dataclasses import replace

import pytest

from fleet.capacity import (
    Demand,
    Measured,
    main,
    plan_for,
    report,
    with_benches,
)
from tests.conftest import ROOT


def test_the_page_is_the_models_output():
    """Write it again with `python -m fleet.capacity`."""
    assert report(Demand(), Measured()) in (ROOT / "docs/capacity.md").read_text()


def test_every_named_benchmark_exists():
    """A figure that cannot be measured again says so."""
    source = "\n".join(path.read_text() for path in (ROOT / "benches").glob("test_*.py"))
    names = [figure.bench for figure in vars_of(Measured()).values() if figure.bench]

    assert [name for name in names if f"def {name.split('[')[0]}(" not in source] == []


def test_figures_of_a_benchmark_run_take_the_place_of_ours(tmp_path, capsys):
    """By benchmark name, times in milliseconds and rates as they were noted; others stay."""
    results = [
        {"name": "test_hot_image_over_http", "stats": {"median": 4.0}, "extra_info": {"requests_per_s": 9_000}},
        {"name": "test_fresh_with_its_making[personalization]", "stats": {"median": 0.001}, "extra_info": {}},
    ]
    measured = with_benches(Measured(), {"benchmarks": results})

    assert (measured.hot_per_s.value, measured.decision_ms.value) == (9_000, 1.0)
    assert measured.validation_ms == Measured().validation_ms
    (tmp_path / "b.json").write_text(json.dumps({"benchmarks": results}))
    main(["--benches", str(tmp_path / "b.json"), "--pops", "40"])
    assert "workers in 40 POPs" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [{"requests_per_day": 1e10}, {"peak_factor": 9}, {"utilisation": 0.1}, {"fresh_share": 1.0}, {"pops": 3000}],
    ids=str,
)
def test_more_to_do_takes_no_fewer_workers(change):
    """In every direction that hurts."""
    assert plan_for(replace(Demand(), **change), Measured()).workers >= plan_for(Demand(), Measured()).workers


def test_workers_carry_the_peak():
    """At every POP, the busiest included, the rate at the peak is within what its workers do."""
    for factor in (1, 10, 300):
        demand = replace(Demand(), busiest_pop_factor=factor, pops=20)
        plan = plan_for(demand, Measured())
        assert plan.busiest_pop_workers * plan.worker_per_s >= plan.busiest_pop_per_s
        assert plan.workers * plan.worker_per_s >= plan.peak_per_s


def test_a_withdrawal_costs_a_poll_at_every_pop():
    """The fan-out is what 300 POPs ask for it, on top of their own rhythm."""
    quiet, busy = (plan_for(replace(Demand(), withdrawals_share=share), Measured()) for share in (0.0, 0.001))
    withdrawals_per_s = busy.peak_per_s / 20 * 0.001

    assert quiet.polls_per_s == 60
    assert busy.polls_per_s - quiet.polls_per_s == pytest.approx(300 * withdrawals_per_s)


def vars_of(measured):
    """Field name to figure."""
    return {name: getattr(measured, name) for name in measured.__slots__}
