"""Interleaves the arms, voids samples taken while others used the machine, and collects the result."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser

from fleet.machine import FOREIGN_CORES_MAX, LoadMeter, describe
from latency_gate.arms import Arm
from latency_gate.browser import chromium, take_sample
from latency_gate.judge import Row, is_green, is_open, judge_vitals
from latency_gate.profiles import Profile
from latency_gate.sample import Sample
from latency_gate.stats import false_pass_rate

VOID_SHARE_MAX = 0.5  # of n; a machine busier than that cannot be measured on

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Result:
    """One run of the vitals gate."""

    profile: str
    arms: dict[str, list[Sample]]
    rows: list[Row]
    voided: int = 0
    looks: tuple[int, ...] = ()
    machine: dict[str, Any] = field(default_factory=describe)
    taken_at: int = field(default_factory=lambda: int(time.time()))

    @property
    def green(self) -> bool:
        """Whether every row is ok."""
        return is_green(self.rows)

    @property
    def false_pass_rate(self) -> float:
        """How often a page whose P95 is truly at its budget passes, all looks of this run counted."""
        return false_pass_rate(self.looks)

    def to_json(self) -> dict[str, Any]:
        """The result file."""
        return {
            "suite": "vitals",
            "profile": self.profile,
            "green": self.green,
            "taken_at": self.taken_at,
            "machine": self.machine,
            "voided": self.voided,
            "looks": list(self.looks),
            "false_pass_rate": round(self.false_pass_rate, 4),
            "rows": [row.to_json() for row in self.rows],
            "samples": {name: [sample.to_json() for sample in samples] for name, samples in self.arms.items()},
        }


class Overloaded(Exception):
    """The machine was too busy for long enough to measure anything."""


def measure(
    arms: Sequence[Arm],
    profile: Profile,
    looks: Sequence[int],
    budgets: dict[str, float],
    *,
    progress: Progress = lambda done, total: None,
    tamper: dict[str, str] | None = None,
) -> Result:
    """Rounds that load every arm that is due once, in an order that rotates, judged against `budgets`.

    `looks`: after how many rounds the rows are judged. A later look is taken only if it could turn them all green.
    """
    with chromium() as browser:
        warm_up(browser, arms, profile)
        return measure_in(browser, arms, profile, looks, budgets, progress=progress, tamper=tamper)


def warm_up(browser: Browser, arms: Sequence[Arm], profile: Profile) -> None:
    """One load of each arm that counts nowhere: it fills the caches of the servers and of the browser."""
    _round(browser, arms, profile, 0, {})


def measure_in(
    browser: Browser,
    arms: Sequence[Arm],
    profile: Profile,
    looks: Sequence[int],
    budgets: dict[str, float],
    *,
    progress: Progress = lambda done, total: None,
    tamper: dict[str, str] | None = None,
) -> Result:
    """`measure` in a browser that is open and warm."""
    rounds = _Rounds(browser, arms, profile, tamper or {}, progress)
    rounds.run_to(looks[0])
    rows = judge_vitals(rounds.kept, budgets)
    for look in looks[1:]:
        if is_open(rows, look):
            rounds.run_to(look)
            rows = judge_vitals(rounds.kept, budgets)
    return Result(profile.name, rounds.kept, rows, rounds.voided, tuple(looks))


class _Rounds:
    """Rounds taken so far. Owns `kept`, `done` and `voided`."""

    def __init__(
        self, browser: Browser, arms: Sequence[Arm], profile: Profile, tamper: dict[str, str], progress: Progress
    ) -> None:
        self._browser, self._arms, self._profile = browser, arms, profile
        self._tamper, self._progress = tamper, progress
        self._meter = LoadMeter()
        self.kept: dict[str, list[Sample]] = {arm.name: [] for arm in arms}
        self.done = self.voided = 0

    def run_to(self, n: int) -> None:
        """Take rounds until n count. Raises: Overloaded."""
        while self.done < n:
            self._meter.foreign_cores()
            taken = _round(self._browser, due(self._arms, self.done), self._profile, self.done, self._tamper)
            foreign = self._meter.foreign_cores()
            if foreign > FOREIGN_CORES_MAX:
                self._void(foreign, n)
                continue
            for sample in taken:
                sample.round, sample.foreign_cores = self.done, round(foreign, 2)
                self.kept[sample.arm].append(sample)
            self.done += 1
            self._progress(self.done, n)

    def _void(self, foreign: float, n: int) -> None:
        self.voided += 1
        if self.voided > max(3, n * VOID_SHARE_MAX):
            raise Overloaded(f"{self.voided} rounds voided: other processes used {foreign:.1f} cores")


def _round(browser: Browser, arms: Sequence[Arm], profile: Profile, turn: int, tamper: dict[str, str]) -> list[Sample]:
    return [take_sample(browser, arm, profile, tamper.get(arm.name, "")) for arm in in_turn(arms, turn)]


def due(arms: Sequence[Arm], turn: int) -> list[Arm]:
    """The arms of a round."""
    return [arm for arm in arms if turn % arm.every == 0]


def in_turn(arms: Sequence[Arm], turn: int) -> list[Arm]:
    """Each arm once; which goes first changes, so that no arm always follows the same one."""
    start = (turn + turn // len(arms)) % len(arms)  # also where three arms meet in every third round only
    return [*arms[start:], *arms[:start]]
