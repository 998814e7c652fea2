"""What is to happen to a fleet, as values, and the strict parser of how it is said on the command line.

    Scenario(pops=200, events=(*parse_events("partition", "3@10s+70s", 200), *parse_events("kill", "1-20@15s", 200)))

    3@10s+70s    POP 3, ten seconds after traffic began, for seventy seconds
    1-20@15s     POPs 1 to 20, with the length that this kind of event has by itself
    all@1m       every POP
    2@+90s       (skew) POP 2's wall clock is 90 s ahead from the start

POPs are numbered from 1. Times are simulated seconds since traffic began.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

TAIL_S = 20.0  # after the last event, so that its healing is seen too
MOST_CHANGES = 40  # each is heard by every POP
BACKUP_AGE_S = 20.0  # how old the copy is that a restored POP comes back with

# What may happen, and how long it lasts if that is not said. Zero: it has no length.
LENGTH_S = {
    "partition": 30.0,  # the POP and the control plane do not hear each other
    "cut-push": 30.0,  # only the stream of hints is cut; polls get through
    "kill": 2.0,  # kill -9, then started again from its disk
    "restore": 2.0,  # as kill, but `pop.db` is an older copy
    "suspend": 30.0,  # the machine sleeps; CLOCK_BOOTTIME does not
    "replay": 30.0,  # somebody answers polls with what the log said before
    "rewind": 0.0,  # the control plane's store is put back to an older copy
}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_WHEN = re.compile(r"(?P<pops>[a-z0-9-]+)@(?P<at>[^+]+)(?:\+(?P<length>.+))?")
_SKEW = re.compile(r"(?P<pops>[a-z0-9-]+)@(?P<sign>[+-])(?P<by>.+)")
_POPS = re.compile(r"(\d+)(?:-(\d+))?")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to one POP (`pop` 0: to the control plane), `at` seconds in, for `length` seconds."""

    kind: str
    pop: int
    at: float
    length: float

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + self.length


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a simulation depends on besides the code. Raises: ValueError for what cannot be simulated."""

    pops: int
    requests: int = 10_000
    duration: float | None = None  # simulated seconds of traffic; None: TAIL_S after the last event
    events: tuple[Event, ...] = ()
    skew: dict[int, float] = field(default_factory=dict)  # POP -> seconds its wall clock is ahead
    lag: tuple[float, float] = (0.005, 0.15)  # one way, between a POP and the control plane: nearest and farthest POP
    loss: float = 0.005  # share of messages that have to be sent again
    changes: int | None = None  # by visitors, operators and policy while traffic runs; None: 40, less for a few POPs
    visitors: int = 3  # per POP
    push: bool = True
    careless: frozenset[int] = frozenset()  # POPs whose in-sync rule is switched off: proves that the check can fail
    seed: int = 1

    def __post_init__(self) -> None:
        _expect(self.pops >= 1, "pops: expected at least 1")
        _expect(self.requests >= 1, "requests: expected at least 1")
        _expect(0 <= self.lag[0] <= self.lag[1] <= 2.0, "lag: expected at most 2s, the nearer POP first")
        _expect(0 <= self.loss < 0.5, "loss: expected less than 50%")
        _expect(self.visitors >= 1, "visitors: expected at least 1")
        for pop in (*self.skew, *self.careless, *(event.pop for event in self.events)):
            _expect(0 <= pop <= self.pops, f"there is no POP {pop} among {self.pops}")
        _expect(self.duration is None or self.duration > 0, "duration: expected more than 0")
        latest = max((event.at for event in self.events), default=0.0)
        _expect(latest <= self.length, f"an event at {latest:g} s is after the end of traffic, at {self.length:g} s")
        _expect_apart(self.events)

    @property
    def length(self) -> float:
        """Simulated seconds of traffic."""
        if self.duration is not None:
            return self.duration
        return max((event.end for event in self.events), default=10.0) + TAIL_S

    @property
    def wishes(self) -> int:
        """How many changes there are: few enough that visitors are left to show anything to."""
        return min(MOST_CHANGES, self.pops * self.visitors // 2) if self.changes is None else self.changes


def parse_duration(text: str) -> float:
    """Seconds of `500ms`, `10s`, `1.5m`. Raises: ValueError."""
    match = _DURATION.fullmatch(text)
    _expect(match is not None, f"{text!r}: expected a time such as 500ms, 10s or 1.5m")
    assert match is not None
    return float(match[1]) * _SECONDS[match[2]]


def parse_range(text: str) -> tuple[float, float]:
    """Seconds of `40ms` or `5ms..150ms`. Raises: ValueError."""
    low, dots, high = text.partition("..")
    return parse_duration(low), parse_duration(high if dots else low)


def parse_share(text: str) -> float:
    """A share of `0.5%`. Raises: ValueError."""
    match = _PERCENT.fullmatch(text)
    _expect(match is not None, f"{text!r}: expected a share such as 0.5%")
    assert match is not None
    return float(match[1]) / 100


def parse_pops(text: str, pops: int) -> range:
    """POP numbers of `3`, `1-20` or `all`. Raises: ValueError."""
    if text == "all":
        return range(1, pops + 1)
    match = _POPS.fullmatch(text)
    _expect(match is not None, f"{text!r}: expected a POP's number, a range such as 1-20, or all")
    assert match is not None
    first, last = int(match[1]), int(match[2] or match[1])
    _expect(1 <= first <= last <= pops, f"{text!r}: POPs are numbered 1 to {pops}")
    return range(first, last + 1)


def say_pops(pops: Iterable[int]) -> str:
    """`3, 5-7` of POP numbers."""
    runs: list[list[int]] = []
    for pop in sorted(pops):
        if runs and pop == runs[-1][-1] + 1:
            runs[-1].append(pop)
        else:
            runs.append([pop])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def parse_events(kind: str, text: str, pops: int) -> list[Event]:
    """Events of `3@10s+70s`; what has no length, or hits the control plane, takes less. Raises: ValueError."""
    if kind == "rewind":
        return [Event(kind, 0, parse_duration(text), 0.0)]
    match = _WHEN.fullmatch(text)
    _expect(match is not None, f"{text!r}: expected POP@WHEN or POP@WHEN+LENGTH, such as 3@10s+70s")
    assert match is not None
    length = LENGTH_S[kind] if match["length"] is None else parse_duration(match["length"])
    _expect(length > 0, f"{text!r}: expected a length of more than 0")
    return [Event(kind, pop, parse_duration(match["at"]), length) for pop in parse_pops(match["pops"], pops)]


def parse_skew(texts: Iterable[str], pops: int) -> dict[int, float]:
    """POP -> seconds of `2@+90s`. Raises: ValueError."""
    skew: dict[int, float] = {}
    for text in texts:
        match = _SKEW.fullmatch(text)
        _expect(match is not None, f"{text!r}: expected POP@+TIME or POP@-TIME, such as 2@+90s")
        assert match is not None
        by = parse_duration(match["by"]) * (1 if match["sign"] == "+" else -1)
        for pop in parse_pops(match["pops"], pops):
            _expect(pop not in skew, f"POP {pop} has two clocks")
            skew[pop] = by
    return skew


def _expect_apart(events: tuple[Event, ...]) -> None:
    """A POP that is down or asleep cannot be killed again; two partitions of one POP are one."""
    ends: dict[tuple[int, str], float] = {}
    for event in sorted(events, key=lambda event: event.at):
        group = "process" if event.kind in ("kill", "restore", "suspend") else event.kind
        _expect(event.at >= ends.get((event.pop, group), 0.0), f"two events of POP {event.pop} overlap: {event.kind}")
        ends[event.pop, group] = event.end


def _expect(met: object, message: str) -> None:
    if not met:
        raise ValueError(message)
