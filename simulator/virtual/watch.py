"""What the fleet did: when each POP had each entry in force, how each POP stood over time, skipped numbers.

An entry is enforced at a POP once it is applied (a policy: once it is open), or once the POP shows nothing
personalised any more, whichever comes first. POPs that showed nothing when an entry came have nothing to enforce.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf

from runtime_host.pop.stores import Change
from simulator.virtual.oracle import Truth

# How a POP stands, best first. Only the first three personalise.
CONNECTED, POLL_ONLY, CUT_OFF, CLOSED, DOWN = "connected", "poll-only", "cut-off", "closed", "down"
SHOWING = frozenset({CONNECTED, POLL_ONLY, CUT_OFF})


@dataclass(frozen=True, slots=True)
class Pair:
    """One entry at one POP that was personalising when it came. `how`: applied, closed, down, or never.

    `connected`: the POP could hear push and polls all the while. `delay`: seconds from commit to enforcement.
    """

    seq: int
    kind: str
    pop: int
    delay: float
    how: str
    connected: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """A POP applied `found` where `expected` had to come."""

    pop: int
    expected: int
    found: int


@dataclass(slots=True)
class Line:
    """How one POP stood: `states[i]` from `since[i]` on."""

    since: list[float] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def add(self, at: float, state: str) -> None:
        """Note the state if it is another one."""
        if not self.states or self.states[-1] != state:
            self.since.append(at)
            self.states.append(state)

    def at(self, at: float) -> str:
        """The state at a moment."""
        return self.states[max(0, bisect_right(self.since, at) - 1)]

    def after(self, at: float) -> Iterator[tuple[float, str]]:
        """What changed later, in order."""
        first = bisect_right(self.since, at)
        return zip(self.since[first:], self.states[first:], strict=True)


class Watch:
    """Told by POPs; `lines`: by POP. `now`: simulated seconds."""

    def __init__(self, truth: Truth, now: Callable[[], float]) -> None:
        self._truth = truth
        self._now = now
        self._expected: dict[int, int] = {}
        self._applied: dict[tuple[int, int], float] = {}
        self._policies: dict[tuple[int, str], float] = {}
        self.gaps: list[Gap] = []
        self.lines: dict[int, Line] = {}

    def started(self, pop: int, position: int) -> None:
        """A POP opened its store at this position in the log."""
        self._expected[pop] = position + 1

    def arrived(self, pop: int, change: Change) -> None:
        """A change is in force at a POP."""
        assert change.seq is not None
        expected = self._expected[pop]
        if change.seq != expected:
            self.gaps.append(Gap(pop, expected, change.seq))
        self._expected[pop] = change.seq + 1
        self._applied.setdefault((pop, change.seq), self._now())

    def policy(self, pop: int, policy_hash: str) -> None:
        """A policy is open at a POP."""
        self._policies.setdefault((pop, policy_hash), self._now())

    def stands(self, pop: int, state: str) -> None:
        """How a POP stands now."""
        self.lines.setdefault(pop, Line()).add(self._now(), state)

    def pairs(self, since: float) -> list[Pair]:
        """Every (POP, entry) with something to enforce, for entries committed at `since` or later."""
        return [
            self._pair(pop, line, seq, at)
            for seq, (_, at) in self._truth.entries.items()
            if at >= since
            for pop, line in self.lines.items()
            if line.at(at) in SHOWING
        ]

    def _pair(self, pop: int, line: Line, seq: int, at: float) -> Pair:
        entry, _ = self._truth.entries[seq]
        applied = self._applied.get((pop, seq), inf)
        if entry.kind == "policy":
            applied = max(applied, self._policies.get((pop, entry.subject), inf))
        stopped, how = next(((when, state) for when, state in line.after(at) if state not in SHOWING), (inf, "never"))
        enforced, how = (applied, "applied") if applied <= stopped and applied < inf else (stopped, how)
        states = {line.at(at), *(state for when, state in line.after(at) if when <= enforced)}
        return Pair(seq, entry.kind, pop, enforced - at, how, states == {CONNECTED})
