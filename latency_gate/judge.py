"""Samples and budgets in, rows out. Pure, so that the gate itself can be tested.

A row is `ok`, `over` (measured, above its budget), `broken` (not measured) or `too-few` (not enough samples to say).
Anything but `ok` makes the gate red.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from latency_gate.sample import Sample
from latency_gate.stats import paired_shift, quantile_upper_bound, regression, samples_needed, summary

OK, OVER, BROKEN, TOO_FEW = "ok", "over", "broken", "too-few"
ADVISORY = "advisory"  # over, and known to be: shown with its reason, does not stop anybody
REGRESSION_P = 0.01
HOURS_APART = 1  # after which a machine may do other things than before
PAIRED_CONFIDENCE = 0.975  # two looks at most, each with half of the 5 % that one may be wrong by


@dataclass(frozen=True, slots=True)
class Row:
    """One budget, what was measured, and the verdict."""

    name: str
    status: str
    measured: float | None
    budget: float
    unit: str
    explanation: str
    above: int | None = None  # samples above the budget, where the row is a bound on a quantile
    open_at: int | None = None  # pairs, where the budget lies between the estimate and the end of its interval

    def to_json(self) -> dict[str, Any]:
        """As it stands in the result file."""
        return asdict(self)


def judge_absolute(name: str, samples: Sequence[Sample], read: Callable[[Sample], float | None], budget: float) -> Row:
    """P95, as an upper bound by order statistics, against an absolute budget."""
    unit = "" if name == "cls" else "ms"
    broken = [sample for sample in samples if sample.broken]
    if broken:
        return Row(name, BROKEN, None, budget, unit, f"{len(broken)} of {len(samples)} loads: {broken[0].broken}")
    values = [value for sample in samples if (value := read(sample)) is not None]
    if not values or len(values) < len(samples):
        return Row(name, BROKEN, None, budget, unit, f"{len(samples) - len(values)} of {len(samples)} loads without it")
    seen = summary(values)
    spread = f"p50 {seen['p50']:.4g}, p95 {seen['p95']:.4g}, n {len(values)}"
    bound = quantile_upper_bound(values)
    if bound.value is None:
        status = OVER if seen["p50"] > budget else TOO_FEW
        return Row(name, status, seen["p50"], budget, unit, f"{spread}; a P95 bound takes 59 loads")
    status = OK if bound.value <= budget else OVER
    above = sum(value > budget for value in values)
    return Row(name, status, bound.value, budget, unit, f"{spread}, {bound.exceedances_allowed} forgiven", above)


def judge_paired(name: str, ours: Sequence[Sample], theirs: Sequence[Sample], limit: Callable[[float], float]) -> Row:
    """The paired LCP difference ours - theirs: the whole 97.5 % interval has to stay under the limit.

    limit: from the other arm's median (ms) to the largest difference allowed (ms).
    """
    pairs = [
        (mine.lcp_ms, other.lcp_ms)
        for mine, other in zip(ours, theirs, strict=True)
        if mine.lcp_ms is not None and other.lcp_ms is not None and not mine.broken and not other.broken
    ]
    if len(pairs) < len(ours) or len(pairs) < MIN_PAIRS:
        why = next((s.broken for s in [*ours, *theirs] if s.broken), f"{len(pairs)} pairs, {MIN_PAIRS} needed")
        return Row(name, BROKEN, None, limit(0.0), "ms", why)
    base = summary([other for _, other in pairs])["p50"]
    shift = paired_shift([mine for mine, _ in pairs], [other for _, other in pairs], PAIRED_CONFIDENCE)
    budget = limit(base)
    status = OK if shift.high <= budget else OVER
    text = f"{shift.estimate:+.1f} ms, 97.5 % interval {shift.low:+.1f} to {shift.high:+.1f}, base {base:.0f} ms"
    undecided = shift.estimate <= budget < shift.high
    return Row(name, status, shift.high, budget, "ms", text, open_at=len(pairs) if undecided else None)


MIN_PAIRS = 6  # below this the signed-rank interval is the whole range


def judge_regression(name: str, head: Sequence[float], base: Sequence[float]) -> Row:
    """Slower than the base run: significant, and by more than 5 % or 20 ms."""
    result = regression(head, base)
    budget = max(0.05 * summary(base)["p50"], 20.0)
    worse = result.p_value < REGRESSION_P and result.shift > budget
    text = f"shift {result.shift:+.1f} ms, p {result.p_value:.2g}, Cliff's delta {result.delta:+.2f}"
    return Row(name, OVER if worse else OK, result.shift, budget, "ms", text)


def differences(base: Mapping[str, Any], head: Mapping[str, Any]) -> list[str]:
    """What else than the change may explain a difference of two results: another machine, or hours between them."""
    machines = [{**result.get("machine", {}), "commit": None} for result in (base, head)]
    other = sorted(name for name in machines[0].keys() | machines[1] if machines[0].get(name) != machines[1].get(name))
    hours = abs(head.get("taken_at", 0) - base.get("taken_at", 0)) / 3_600
    found = [f"another machine: {', '.join(other)}"] if other else []
    return [*found, *([f"taken {hours:.0f} h apart"] if hours > HOURS_APART else [])]


def is_open(rows: Sequence[Row], next_look: int) -> bool:
    """Whether `next_look` loads could still show that every row which is over now is within its budget.

    A bound on a quantile can if that many loads forgive what was above the budget so far; a paired difference can
    while its interval straddles the budget.
    """
    over = [row for row in rows if row.status == OVER]
    return bool(over) and all(
        row.open_at is not None or (row.above is not None and samples_needed(row.above) <= next_look) for row in over
    )


def judge_vitals(arms: dict[str, list[Sample]], budgets: dict[str, float]) -> list[Row]:
    """Every row of the vitals gate that the measured arms allow."""
    main = arms.get("ours") or arms["page"]
    rows = [
        judge_absolute("lcp", main, lambda s: s.lcp_ms, budgets["lcp_ms"]),
        judge_absolute("inp", main, lambda s: s.inp_ms, budgets["inp_ms"]),
        judge_absolute("cls", main, lambda s: s.cls, budgets["cls"]),
    ]
    if "ours" not in arms:
        return rows
    rows += [
        judge_absolute("toggle-inp", main, lambda s: s.toggle_inp_ms, budgets["inp_ms"]),
        judge_absolute("swap-to-paint", main, lambda s: s.swap_to_paint_ms, budgets["swap_to_paint_ms"]),
    ]
    if "plain" in arms:
        over_plain = budgets["lcp_over_plain_ratio"]
        floor = budgets["lcp_over_plain_ms"]
        mine = beside(main, arms["plain"])
        rows.append(judge_paired("lcp-over-plain", mine, arms["plain"], lambda base: max(over_plain * base, floor)))
    if "antiflicker" in arms:
        mine = beside(main, arms["antiflicker"])
        rows.append(judge_paired("lcp-over-antiflicker", mine, arms["antiflicker"], lambda _: 0.0))
    return rows


def beside(ours: Sequence[Sample], theirs: Sequence[Sample]) -> list[Sample]:
    """Our loads of those rounds in which the other arm was loaded too."""
    rounds = {sample.round for sample in theirs}
    return [sample for sample in ours if sample.round in rounds]


def is_green(rows: Sequence[Row]) -> bool:
    """Whether every row is ok or only advice, and there is one."""
    return bool(rows) and all(row.status in (OK, ADVISORY) for row in rows)
