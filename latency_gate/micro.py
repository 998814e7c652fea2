"""Judges pytest-benchmark results against `benches/budgets.toml`.

[[micro]]
row = "personalisation, fresh sandbox, p50"     bench = "test_personalisation_fresh"
statistic = "median"  budget_us = 2000  aim_us = 1000
[[micro]]
row = "hot image, share of bare ASGI"           bench = "test_hot_image"  over = "test_bare_asgi"
statistic = "ops"     at_least = 0.35   aim = 0.6
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latency_gate.judge import ADVISORY, BROKEN, OK, OVER, Row

Budget = dict[str, Any]


def read_results(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """pytest-benchmark's JSON files as benchmark name -> record."""
    return {bench["name"]: bench for path in paths for bench in json.loads(path.read_text())["benchmarks"]}


def judge_micro(budgets: Sequence[Budget], results: dict[str, dict[str, Any]]) -> list[Row]:
    """One row per budget. A budget whose benchmark did not run is broken."""
    return [_judge_one(budget, results) for budget in budgets]


def _judge_one(budget: Budget, results: dict[str, dict[str, Any]]) -> Row:
    wanted = [name for name in (budget["bench"], budget.get("over")) if name]
    missing = [name for name in wanted if name not in results]
    limit = float(next(budget[key] for key in ("budget_us", "at_most", "at_least") if key in budget))
    unit = "µs" if "budget_us" in budget else "×"
    if missing:
        return Row(budget["row"], BROKEN, None, limit, unit, f"did not run: {', '.join(missing)}")
    measured = _statistic(results[budget["bench"]], budget["statistic"])
    if "over" in budget:
        measured /= _statistic(results[budget["over"]], budget["statistic"])
    elif unit == "µs":
        measured *= 1e6
    passed = measured >= limit if "at_least" in budget else measured <= limit
    status = OK if passed else ADVISORY if "advisory" in budget else OVER
    return Row(budget["row"], status, measured, limit, unit, _explain(budget, results))


def _statistic(record: dict[str, Any], name: str) -> float:
    """`median`, `mean`, `min`, `ops` as pytest-benchmark has them (seconds, 1/s); `p99` from the raw data;
    `extra.NAME` from the benchmark's own extra_info."""
    if name.startswith("extra."):
        return float(record["extra_info"][name.removeprefix("extra.")])
    if name.startswith("p"):
        return float(np.quantile(record["stats"]["data"], int(name[1:]) / 100))
    return float(record["stats"][name])


def _explain(budget: Budget, results: dict[str, dict[str, Any]]) -> str:
    record = results[budget["bench"]]["stats"]
    aim = budget.get("aim_us", budget.get("aim"))
    text = f"{budget['statistic']}, n {record['rounds'] * record.get('iterations', 1)}"
    if "over" in budget:
        text += f", against {budget['over']}"
    if "advisory" in budget:
        text += f"; {budget['advisory']}"
    return text if aim is None else f"{text}; aim {aim}"
