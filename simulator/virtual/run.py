"""Plays a scenario: warm up, let traffic, changes and faults run side by side, heal everything, look what is left.

    outcome = simulate(Scenario(pops=200, requests=100_000, events=...), on_progress=bar)

Deterministic but for the secrets that the real code draws: the same seed gives the same faults, lags and wishes.
"""

import asyncio
import random as global_random
import resource
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fleet.bounds import BOUND_S
from fleet.processes import fleet_of
from fleet.project import REPOSITORY
from runtime_host.wasm.functions import ConsentValidator
from runtime_host.wasm.native import NativeFunction
from simulator.scenario import BACKUP_AGE_S, Event, Scenario
from simulator.virtual.network import Link
from simulator.virtual.oracle import Oracle, Shown, Truth, Violation
from simulator.virtual.plane import Plane
from simulator.virtual.pop import SimulatedPop
from simulator.virtual.time import MachineClock, run_virtual
from simulator.virtual.visitors import KINDS, REFRESH_S, Crowd
from simulator.virtual.watch import CLOSED, CONNECTED, CUT_OFF, DOWN, POLL_ONLY, Gap, Line, Pair, Watch

LOOK_S = 0.25  # between looks at how every POP stands
SETTLE_S = 90.0  # simulated patience after traffic: past the bound and some polls
START_APART_S = 5.0  # POPs of a fleet do not start in one instant
FILES_PER_POP = 8
DATA = "data"
MEMORY = Path("/dev/shm")  # noqa: S108  no simulated crash loses what the kernel has

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Second:
    """What happened in one simulated second. `entitled`: requests that consent and policy allow something for."""

    asked: int = 0
    answered: int = 0
    entitled: int = 0
    personalised: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """History rows at the end. `lost`: of visitors who took nothing back; `kept`: of visitors who did."""

    lost: int
    kept: int


@dataclass(slots=True)
class Outcome:
    """Everything that was seen. Times are simulated seconds since traffic began."""

    scenario: Scenario
    names: list[str]
    seconds: list[Second] = field(default_factory=list)
    troubled: list[Second] = field(default_factory=list)  # the same, of POPs that something happens to
    violations: list[Violation] = field(default_factory=list)
    unheard: int = 0
    pairs: list[Pair] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)  # POPs that did not reach the head
    alarms: dict[int, str] = field(default_factory=dict)
    lines: dict[int, Line] = field(default_factory=dict)
    entries: int = 0
    done: dict[str, int] = field(default_factory=dict)
    stored: Stored = Stored(0, 0)
    outbox: int = 0  # withdrawals that were not forwarded in the end
    refused: dict[str, int] = field(default_factory=dict)  # signed artefacts that POPs refused, by code


def simulate(
    scenario: Scenario, on_progress: Progress = lambda done, total: None, *, data: Path | None = None
) -> Outcome:
    """Play a scenario in this process, on simulated time.

    `data`: a control plane's data directory to begin with (it is copied), instead of making keys and a first policy.
    """
    _allow_files(scenario.pops * FILES_PER_POP + 256)
    global_random.seed(scenario.seed)  # the pauses of retry libraries
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="simulate-") as work:
        if data is not None:
            shutil.copytree(data, Path(work) / DATA)
        return run_virtual(_World(scenario, Path(work), on_progress).play())


class _World:
    """One run. `_began`: when traffic did, in the loop's time."""

    def __init__(self, scenario: Scenario, work: Path, on_progress: Progress) -> None:
        self._scenario = scenario
        self._work = work
        self._on_progress = on_progress
        self._random = Random(scenario.seed)  # noqa: S311  a simulation is repeated by its seed
        self._began = 0.0

    async def play(self) -> Outcome:
        """The whole scenario."""
        self._build()
        try:
            await self._warm_up()
            await self._run()
            await self._settle()
            return self._outcome
        finally:
            for pop in self._pops:
                await pop.close()
            self._plane.close()

    def _build(self) -> None:
        scenario, loop = self._scenario, asyncio.get_running_loop()
        self._loop = loop
        self._truth = Truth()
        self._plane = Plane(self._work / DATA, MachineClock(loop), self._truth)
        self._watch = Watch(self._truth, loop.time)
        validator = ConsentValidator(NativeFunction(REPOSITORY / "functions" / "consent_validation"))
        self._pops = [self._pop(number, validator) for number in range(1, scenario.pops + 1)]
        self._oracle = Oracle(self._truth, BOUND_S, lambda number: self._pops[number - 1].reachable_since)
        self._crowd = Crowd(self._pops, self._plane, self._truth, self._random, loop.time)
        self._outcome = Outcome(scenario, [pop.name for pop in self._pops])
        self._eventful = {event.pop for event in scenario.events}

    def _pop(self, number: int, validator: ConsentValidator) -> SimulatedPop:
        scenario = self._scenario
        spec = fleet_of(number, first_port=0)[-1]
        link = Link(self._random.uniform(*scenario.lag), scenario.loss, Random(f"{scenario.seed}/{number}"))  # noqa: S311
        clock = MachineClock(self._loop, scenario.skew.get(number, 0.0))
        home = self._work / "pops" / spec.pop
        return SimulatedPop(
            number, spec, home, self._plane, link, clock, validator, self._watch,
            push=scenario.push, careless=number in scenario.careless,
        )  # fmt: skip

    async def _warm_up(self) -> None:
        """Everybody starts, gets into sync, and grants everything."""
        for pop in self._pops:
            pop.start()
            await asyncio.sleep(START_APART_S / len(self._pops))
        await self._until_all(lambda pop: pop.in_sync and pop.sync.trust_state.policy is not None)
        await self._crowd.admit(self._scenario.visitors)
        self._began = self._loop.time()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look())
            others = [group.create_task(self._changes()), *(group.create_task(self._happen(e)) for e in self._all())]
            await self._traffic(group)
            await asyncio.gather(*others)
            looking.cancel()

    async def _settle(self) -> None:
        """Heal what is still broken and wait until everybody has caught up, or patience ends."""
        for pop in self._pops:
            pop.link.heal()
            pop.look()
        end = self._loop.time() + SETTLE_S
        while self._loop.time() < end and not self._settled():
            await asyncio.sleep(1.0)
            self._note_states()
        self._conclude()

    def _settled(self) -> bool:
        return all(pop.sync.status().alarm or self._caught_up(pop) for pop in self._pops)

    def _caught_up(self, pop: SimulatedPop) -> bool:
        reached = pop.sync.store.log.position.position == self._plane.head
        return reached and pop.in_sync and not pop.store.outbox.pending()

    def _all(self) -> tuple[Event, ...]:
        """The scenario's events, with the copies that restored POPs and a rewound log come back with."""
        copies = [
            Event("back-up", event.pop, max(0.0, event.at - BACKUP_AGE_S), 0.0)
            for event in self._scenario.events
            if event.kind in ("restore", "rewind")
        ]
        return (*copies, *self._scenario.events)

    async def _traffic(self, group: asyncio.TaskGroup) -> None:
        scenario = self._scenario
        apart = scenario.length / scenario.requests
        tell_every = max(1, scenario.requests // 200)
        for number in range(scenario.requests):
            await self._reach(number * apart)
            await self._request(group)
            if number % tell_every == 0:
                self._on_progress(number, scenario.requests)
        await self._reach(scenario.length)
        self._on_progress(scenario.requests, scenario.requests)

    async def _request(self, group: asyncio.TaskGroup) -> None:
        ask = self._crowd.ask(self._troubled())
        pop, token, visitor = ask.pop, ask.token, ask.visitor
        now = self._loop.time()
        entitled = False
        if token is not None and not ask.replayed:
            entitled = bool(self._oracle.allowed(token.subject, token.claims, pop.jurisdiction, visitor.gpc))
        personalised = False
        if pop.serving and token is not None:
            visit = await pop.ask(token.text, visitor.gpc)
            personalised = bool(visit.grant.categories)
            if personalised:
                self._oracle.judge(
                    Shown(pop.number, pop.jurisdiction, visitor.gpc, now, token.subject, token.claims,
                          visit.grant.categories)
                )  # fmt: skip
            due = visit.grant.refresh or token.claims.exp - pop.sync.trust_state.now() < REFRESH_S
            if due and not ask.replayed and not visitor.busy:
                group.create_task(self._crowd.refresh(visitor, pop))
        for second in self._tallies(pop.number, now):
            second.asked += 1
            second.answered += pop.serving
            second.entitled += entitled
            second.personalised += entitled and personalised

    def _tallies(self, pop: int, now: float) -> list[Second]:
        series = [self._outcome.seconds, *([self._outcome.troubled] if pop in self._eventful else [])]
        index = int(now - self._began)
        for seconds in series:
            while len(seconds) <= index:
                seconds.append(Second())
        return [seconds[index] for seconds in series]

    def _troubled(self) -> list[SimulatedPop]:
        """POPs that are cut off or asleep now, or were started again."""
        return [
            self._pops[number - 1]
            for number in self._eventful
            if number and self._watch.lines[number].states[-1] != CONNECTED
        ]

    async def _changes(self) -> None:
        """The scenario's changes, at random moments; two of them, if there are enough, change policy."""
        scenario, kinds = self._scenario, list(KINDS)
        last = max(0.5, scenario.length - TAIL_QUIET_S)
        when = sorted(self._random.uniform(0.5, last) for _ in range(scenario.wishes))
        policy = {len(when) // 3, 2 * len(when) // 3} if len(when) >= 6 else set()
        async with asyncio.TaskGroup() as group:
            for number, at in enumerate(when):
                await self._reach(at)
                kind = "policy" if number in policy else self._random.choices(kinds, list(KINDS.values()))[0]
                group.create_task(self._crowd.change(kind, self._troubled()))

    async def _happen(self, event: Event) -> None:
        await self._reach(event.at)
        if event.pop == 0:
            self._to_the_plane(event)
        else:
            await _HAPPEN[event.kind](self, self._pops[event.pop - 1], event)
        self._note_states()

    def _to_the_plane(self, event: Event) -> None:
        copy = self._work / "copies" / "control-plane"
        if event.kind == "back-up":
            self._plane.back_up(copy)
        else:
            self._plane.rewind(copy)

    async def _partition(self, pop: SimulatedPop, event: Event) -> None:
        pop.link.cut()
        pop.look()
        self._note_states()
        await self._reach(event.end)
        pop.link.heal()
        pop.look()

    async def _cut_push(self, pop: SimulatedPop, event: Event) -> None:
        pop.link.push.clear()
        self._note_states()
        await self._reach(event.end)
        pop.link.push.set()

    async def _kill(self, pop: SimulatedPop, event: Event) -> None:
        await pop.crash()
        self._note_states()
        await self._reach(event.end)
        pop.start()

    async def _restore(self, pop: SimulatedPop, event: Event) -> None:
        await pop.crash()
        self._note_states()
        pop.put_back(self._copy_of(pop))
        await self._reach(event.end)
        pop.start()

    async def _back_up(self, pop: SimulatedPop, _: Event) -> None:
        pop.back_up(self._copy_of(pop))

    async def _suspend(self, pop: SimulatedPop, event: Event) -> None:
        await pop.sleep()
        self._note_states()
        await self._reach(event.end)
        pop.wake()

    async def _replay(self, pop: SimulatedPop, event: Event) -> None:
        pop.link.replaying = True
        self._note_states()
        await self._reach(event.end)
        pop.link.replaying = False

    def _copy_of(self, pop: SimulatedPop) -> Path:
        return self._work / "copies" / pop.name

    async def _look(self) -> None:
        while True:
            self._note_states()
            await asyncio.sleep(LOOK_S)

    def _note_states(self) -> None:
        for pop in self._pops:
            pop.check()
            self._watch.stands(pop.number, _state(pop))

    async def _reach(self, at: float) -> None:
        """Wait until so many seconds after traffic began."""
        left = self._began + at - self._loop.time()
        if left > 0:
            await asyncio.sleep(left)

    async def _until_all(self, met: Callable[[SimulatedPop], bool]) -> None:
        async with asyncio.timeout(SETTLE_S):
            while not all(met(pop) for pop in self._pops):
                await asyncio.sleep(LOOK_S)
                for pop in self._pops:
                    pop.check()
        self._note_states()

    def _conclude(self) -> None:
        outcome, watch = self._outcome, self._watch
        outcome.violations = self._oracle.violations
        outcome.unheard = self._oracle.unheard.total()
        outcome.pairs = watch.pairs(self._began)
        outcome.gaps = watch.gaps
        outcome.alarms = {pop.number: alarm for pop in self._pops if (alarm := pop.sync.status().alarm)}
        outcome.behind = [
            pop.number for pop in self._pops if pop.number not in outcome.alarms and not self._caught_up(pop)
        ]
        outcome.lines = {number: _shifted(line, self._began) for number, line in watch.lines.items()}
        outcome.entries = sum(at >= self._began for _, at in self._truth.entries.values())
        outcome.done = dict(self._crowd.done)
        outcome.stored = self._stored()
        outcome.outbox = sum(len(pop.store.outbox.pending()) for pop in self._pops)
        for pop in self._pops:
            for code, count in pop.sync.failures.untrusted.items():
                outcome.refused[code] = outcome.refused.get(code, 0) + count

    def _stored(self) -> Stored:
        """Whether history outlived what must not delete it, and nothing else."""
        lost = kept = 0
        for subject, row_at in self._crowd.rows.items():
            left = bool(self._pops[row_at - 1].store.history.read(subject, "behavioral"))
            taken = [*self._truth.taken.get(subject, ()), *(said.taken for said in self._truth.said.get(subject, ()))]
            gone = any("behavioral" in t.categories for t in taken)
            lost += not gone and not left
            kept += gone and left
        return Stored(lost, kept)


TAIL_QUIET_S = 5.0  # no change so late that its effect would not be seen

_HAPPEN: dict[str, Callable[[_World, SimulatedPop, Event], Awaitable[None]]] = {
    "partition": _World._partition,
    "cut-push": _World._cut_push,
    "kill": _World._kill,
    "restore": _World._restore,
    "back-up": _World._back_up,
    "suspend": _World._suspend,
    "replay": _World._replay,
}


def _state(pop: SimulatedPop) -> str:
    if not pop.serving:
        return DOWN
    if not pop.in_sync:
        return CLOSED
    if not pop.link.up or pop.link.replaying:
        return CUT_OFF
    return CONNECTED if pop.link.push.is_set() else POLL_ONLY


def _shifted(line: Line, by: float) -> Line:
    return Line([at - by for at in line.since], list(line.states))


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted <= hard or (soft < wanted and hard == resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
