"""Interleaves the arms, voids samples taken while others used the machine, and collects the result."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser

from fleet.machine import FOREIGN_CORES_MAX, LoadMeter, describe
from latency_gate.arms import Arm
from latency_gate.browser import chromium, take_sample
from latency_gate.judge import Row, is_green, judge_vitals, loads_wanted
from latency_gate.profiles import Profile
from latency_gate.sample import Sample

FIRST_LOOK = 59  # loads below which a P95 bound cannot be stated at all
VOID_SHARE_MAX = 0.5  # of n; a machine busier than that cannot be measured on

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Result:
    """One run of the vitals gate."""

    profile: str
    arms: dict[str, list[Sample]]
    rows: list[Row]
    voided: int = 0
    machine: dict[str, Any] = field(default_factory=describe)
    taken_at: int = field(default_factory=lambda: int(time.time()))

    @property
    def green(self) -> bool:
        """Whether every row is ok."""
        return is_green(self.rows)

    def to_json(self) -> dict[str, Any]:
        """The result file."""
        return {
            "suite": "vitals",
            "profile": self.profile,
            "green": self.green,
            "taken_at": self.taken_at,
            "machine": self.machine,
            "voided": self.voided,
            "rows": [row.to_json() for row in self.rows],
            "samples": {name: [sample.to_json() for sample in samples] for name, samples in self.arms.items()},
        }


class Overloaded(Exception):
    """The machine was too busy for long enough to measure anything."""


def measure(
    arms: Sequence[Arm],
    profile: Profile,
    n: int,
    budgets: dict[str, float],
    *,
    progress: Progress = lambda done, total: None,
    tamper: dict[str, str] | None = None,
) -> Result:
    """n rounds, each loading every arm once, in an order that rotates. Judged against `budgets`."""
    with chromium() as browser:
        _round(browser, arms, profile, 0, tamper or {})  # warms caches and code; not counted
        rounds = _Rounds(browser, arms, profile, tamper or {}, progress)
        rounds.run_to(n)
        rows = judge_vitals(rounds.kept, budgets)
        while (wanted := loads_wanted(rows)) > rounds.done >= n >= FIRST_LOOK:
            rounds.run_to(wanted)
            rows = judge_vitals(rounds.kept, budgets)
    return Result(profile.name, rounds.kept, rows, rounds.voided)


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
            taken = _round(self._browser, self._arms, self._profile, self.done + self.voided, self._tamper)
            foreign = self._meter.foreign_cores()
            if foreign > FOREIGN_CORES_MAX:
                self._void(foreign, n)
                continue
            for sample in taken:
                sample.foreign_cores = round(foreign, 2)
                self.kept[sample.arm].append(sample)
            self.done += 1
            self._progress(self.done, n)

    def _void(self, foreign: float, n: int) -> None:
        self.voided += 1
        if self.voided > max(3, n * VOID_SHARE_MAX):
            raise Overloaded(f"{self.voided} rounds voided: other processes used {foreign:.1f} cores")


def _round(browser: Browser, arms: Sequence[Arm], profile: Profile, turn: int, tamper: dict[str, str]) -> list[Sample]:
    """Each arm once; who goes first changes, so that no arm always follows the same one."""
    start = turn % len(arms)
    order = [*arms[start:], *arms[:start]]
    return [take_sample(browser, arm, profile, tamper.get(arm.name, "")) for arm in order]
