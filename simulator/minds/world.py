"""Plays people who change their mind on simulated time, through the POPs' real consent routes.

    verdict = play(Minds(pops=6, browsers=300, changes=2_000, requests=10_000, restores=2))

POPs are cut off in turn. A person near a POP that is cut off says no there and yes elsewhere a moment later; another
clicks twice within a tenth of a second; answers are lost, and late copies of requests arrive when they should not.
"""

import asyncio
import random as global_random
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from consent_core.errors import ConsentEdgeError
from consent_core.formats.token import CATEGORIES
from fleet.processes import PopSpec
from fleet.project import REPOSITORY
from fleet.simulated_browser import TRIES, Browser, Change
from runtime_host.wasm.functions import ConsentValidator
from runtime_host.wasm.native import NativeFunction
from simulator.minds.faults import Fault, broken
from simulator.minds.plane import LosablePlane
from simulator.minds.truth import BURST_S, Person, Verdict
from simulator.virtual.network import Link
from simulator.virtual.oracle import Truth
from simulator.virtual.pop import SimulatedPop
from simulator.virtual.time import EPOCH, MachineClock, run_virtual
from simulator.virtual.watch import Watch

JURISDICTION = "EU"  # every category needs a yes, and a yes allows it
MEMORY = Path("/dev/shm")  # noqa: S108  no simulated crash loses what the kernel has
LAG_S = (0.005, 0.08)  # one way, nearest and farthest POP
LOST, COPIED = 0.05, 0.05  # shares of changes whose answer is lost, or of which a copy comes late
CUT_S, OPEN_S = (10.0, 40.0), (5.0, 25.0)  # how long a POP is cut off, and is not
PLAIN = 4  # each fourth client keeps no `consent-no`
OTHER = 0.4  # share of clicks after which the next one is about other categories
APART_S = 0.1  # between two changes of mind somewhere
SETTLE_S = 120.0
BURST = 400  # people at one POP who say no at once

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Minds:
    """What to play. `changes`: changes of mind, some of several clicks; `requests`: pictures asked for.

    `restores`: how often the control plane is lost, evenly spread; `restore_at`: simulated seconds instead.
    """

    pops: int = 6
    browsers: int = 300
    changes: int = 2_000
    requests: int = 10_000
    restores: int = 2
    restore_at: tuple[float, ...] = ()
    burst: int = BURST
    seed: int = 1


def play(
    minds: Minds,
    on_progress: Progress = lambda done, total: None,
    *,
    data: Path | None = None,
    fault: Fault | None = None,
) -> Verdict:
    """Play it in this process. `data`: a control plane's data directory to begin with, which is copied."""
    global_random.seed(minds.seed)  # the pauses of retry libraries
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place, prefix="minds-") as work, broken(fault):
        if data is not None:
            shutil.copytree(data, Path(work) / "data")
        return run_virtual(_World(minds, Path(work), on_progress, fault).play())


class _World:
    """One run. `_restoring`: no POP is cut off, and no person changes their mind, while it is set."""

    def __init__(self, minds: Minds, work: Path, on_progress: Progress, fault: Fault | None) -> None:
        self._minds, self._work, self._on_progress, self._fault = minds, work, on_progress, fault
        self._random = Random(minds.seed)  # noqa: S311  a simulation is repeated by its seed
        self._verdict = Verdict()
        self._restoring = asyncio.Event()
        self._calm = asyncio.Event()
        self._calm.set()
        self._beside: set[asyncio.Task[None]] = set()

    async def play(self) -> Verdict:
        """The whole of it."""
        self._build()
        try:
            await self._begin()
            cutting = [asyncio.create_task(self._cut(pop)) for pop in self._pops[1:]]
            await self._run()
            for task in cutting:
                task.cancel()
            await asyncio.gather(*cutting, return_exceptions=True)
            await self._heal()
            await self._judge()  # before a burst gives everybody another last word
            if not self._caught():
                await self._burst()
                await self._judge()
            return self._verdict
        finally:
            for pop in self._pops:
                await pop.close()
            self._plane.close()

    def _caught(self) -> bool:
        """Whether a counter that must show this run's fault is red: nothing that follows could change that."""
        return self._fault is not None and any(self._verdict.broken[name] for name in self._fault.caught_by)

    # Setting up.

    def _build(self) -> None:
        minds, self._loop = self._minds, asyncio.get_running_loop()
        truth = Truth()
        self._plane = LosablePlane(self._work / "data", MachineClock(self._loop), truth)
        self._watch = Watch(truth, self._loop.time)
        validator = ConsentValidator(NativeFunction(REPOSITORY / "functions" / "consent_validation"))
        self._pops = [self._pop(number, validator) for number in range(1, minds.pops + 1)]
        lists = self._fault is not None and self._fault.full_lists
        self._browsers = [
            Browser(Random(f"{minds.seed}/{n}"), 1 + n % minds.pops, lists, keeps_no=n % PLAIN != 0)  # noqa: S311
            for n in range(minds.browsers)
        ]
        self._people = [Person() for _ in self._browsers]

    def _pop(self, number: int, validator: ConsentValidator) -> SimulatedPop:
        share = (number - 1) / max(1, self._minds.pops - 1)
        link = Link(LAG_S[0] + share * (LAG_S[1] - LAG_S[0]), 0.005, Random(f"{self._minds.seed}/{number}"))  # noqa: S311
        spec = PopSpec(f"edge-{number}", JURISDICTION)
        return SimulatedPop(
            number, spec, self._work / "pops" / spec.pop, self._plane, link, MachineClock(self._loop), validator,
            self._watch, push=True, careless=False,
        )  # fmt: skip

    async def _begin(self) -> None:
        for pop in self._pops:
            pop.start()
        await self._until(lambda: all(pop.in_sync and pop.sync.trust_state.policy is not None for pop in self._pops))
        await asyncio.sleep(20.0)  # every POP has reported, so that a restore waits for it
        for number in range(len(self._browsers)):
            self._click(number, "yes", self._some(0.8))
            await self._work_off(number)

    # While it runs.

    async def _run(self) -> None:
        minds = self._minds
        restores = self._restore_turns()
        per_change = minds.requests / max(1, minds.changes)
        owed = 0.0
        for turn in range(minds.changes):
            await self._calm.wait()
            self._keep(self._change_mind(self._random.randrange(len(self._browsers))))
            owed += per_change
            while owed >= 1:
                owed -= 1
                await self._request()
            await asyncio.sleep(APART_S)
            for _ in range(restores.count(turn)):
                await self._restore()
            if turn % 50 == 0:
                self._on_progress(turn, minds.changes)
            if self._caught():
                break
        await self._until(lambda: not any(browser.busy for browser in self._browsers))

    def _restore_turns(self) -> list[int]:
        """Before which change of mind the control plane is lost."""
        minds, last = self._minds, self._minds.changes - 1
        if minds.restore_at:
            return [min(last, int(at / APART_S)) for at in minds.restore_at]
        return [min(last, (turn + 1) * minds.changes // (minds.restores + 1)) for turn in range(minds.restores)]

    async def _change_mind(self, number: int) -> None:
        browser = self._browsers[number]
        if browser.busy:
            return
        draw, categories = self._random.random(), self._some(0.5)
        kinds = ("no", "yes") if draw < 0.6 else ("yes", "no") if draw < 0.75 else ("no",) if draw < 0.9 else ("yes",)
        for kind in kinds:
            self._click(number, kind, categories)
            if self._random.random() < OTHER:
                categories = self._some(0.5)
            if self._random.random() < 0.5:
                await asyncio.sleep(self._random.uniform(0.0, 0.15))  # before the answer to the first
            else:
                await self._work_off(number)
                await asyncio.sleep(self._random.uniform(0.0, 3.0))
        await self._work_off(number)

    def _click(self, number: int, kind: str, categories: tuple[str, ...]) -> None:
        browser = self._browsers[number]
        change = browser.click(kind, categories, EPOCH + int(self._loop.time()))
        self._people[number].say(kind, categories, change.turn, browser.home)
        self._verdict.changes += 1

    async def _work_off(self, number: int) -> None:
        """The page's module: one change at a time, again where no answer came, elsewhere where a POP cannot."""
        browser = self._browsers[number]
        if browser.busy:
            return
        browser.busy = True
        try:
            while browser.queue:
                change = browser.queue[0]
                await self._send(browser, change)
                browser.queue.popleft()
                if change.kind == "yes":  # a session is presented once soon after it was given
                    await browser.look(self._open_pop())
        finally:
            browser.busy = False

    async def _send(self, browser: Browser, change: Change) -> None:
        for attempt in range(TRIES):
            pop = self._pop_for(browser, change, attempt)
            if self._random.random() < COPIED:
                self._copy_later(browser, change)
            lost = self._random.random() < LOST
            self._verdict.seen["answers_lost"] += lost
            if await browser.send(pop, change, lost):
                if change.kind == "yes":
                    self._note_late(browser)
                return
            await asyncio.sleep(0.2 * 2**attempt)

    def _pop_for(self, browser: Browser, change: Change, attempt: int) -> SimulatedPop:
        """A no goes to a POP that is cut off, where there is one: there it is hardest to keep."""
        cut = [pop for pop in self._pops if not pop.link.up]
        if change.kind == "no" and attempt == 0 and cut and self._random.random() < 0.7:
            return self._random.choice(cut)
        return self._open_pop() if attempt or change.kind == "yes" else self._pops[browser.home - 1]

    def _open_pop(self) -> SimulatedPop:
        return self._random.choice([pop for pop in self._pops if pop.link.up])

    def _copy_later(self, browser: Browser, change: Change) -> None:
        copy = browser.late_copy(change)

        async def arrive() -> None:
            await asyncio.sleep(self._random.uniform(0.3, 20.0))
            await self._calm.wait()
            with suppress(ConsentEdgeError):
                await copy(self._random.choice(self._pops))

        self._verdict.seen["late_copies"] += 1
        self._keep(arrive())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something happen beside everything else; the end waits for it."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _note_late(self, browser: Browser) -> None:
        """A yes is recorded while a no said before it still waits at a POP that is cut off."""
        for key, number in list(browser.pending.items()):
            pop = self._pops[number - 1]
            if key in {withdrawal.key for withdrawal in pop.store.outbox.pending()}:
                self._verdict.seen["late_no_after_yes"] += 1
            del browser.pending[key]

    async def _request(self) -> None:
        number = self._random.randrange(len(self._browsers))
        browser, person = self._browsers[number], self._people[number]
        pop = self._random.choice(self._pops)
        before = person.refused() if browser.keeps_no else set()  # others learn of it with the log
        shown = await pop.shows(browser.cookies(session=False))
        self._verdict.requests += 1
        refused = before & person.refused()  # no person changed their mind while it was answered
        self._verdict.seen["moved_after_no"] += any(person.words[c].pop != pop.number for c in refused)
        for category in refused & set(shown):
            self._verdict.break_("personalised_after_no_same_browser", f"{category} at POP {pop.number}")

    async def _cut(self, pop: SimulatedPop) -> None:
        """Cut a POP off again and again, but for restores; POP 1 and half of the others stay connected."""
        while True:
            await asyncio.sleep(self._random.uniform(*OPEN_S))
            await self._calm.wait()
            if sum(not other.link.up for other in self._pops) >= len(self._pops) // 2:
                continue
            pop.link.cut()
            pop.look()
            self._verdict.seen["cuts"] += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(self._random.uniform(*CUT_S)):
                    await self._restoring.wait()
            pop.link.heal()
            pop.look()

    async def _restore(self) -> None:
        """Back up, go on for a while, lose the store, put the backup in its place."""
        copy = self._work / "backups" / str(self._verdict.seen["restores"])
        copy.parent.mkdir(exist_ok=True)
        self._plane.back_up(copy)
        for number in self._random.sample(range(len(self._browsers)), min(10, len(self._browsers))):
            await self._change_mind(number)
        self._calm.clear()
        self._restoring.set()
        await self._until(lambda: not any(browser.busy for browser in self._browsers))
        await asyncio.sleep(1.0)
        if self._fault is not None and self._fault.copy_back:
            self._plane.copy_back(copy)
        else:
            self._plane.restore(copy)
            await self._until(self._plane.restored)
            await self._until(lambda: all(pop.in_sync for pop in self._pops))
        self._verdict.seen["restores"] += 1
        self._restoring.clear()
        self._calm.set()

    # In the end.

    async def _heal(self) -> None:
        for pop in self._pops:
            pop.link.heal()
            pop.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await asyncio.gather(*self._beside)
        await self._quiet()

    async def _quiet(self) -> None:
        """Nothing is on its way any more, or patience ends."""
        with suppress(TimeoutError):
            await self._until(lambda: all(pop.in_sync and not pop.store.outbox.pending() for pop in self._pops))
        await asyncio.sleep(6.0)  # one poll more

    async def _burst(self) -> None:
        """Many people say no at the farthest POP while it is cut off: how long until the log has all of it?"""
        pop, people = self._pops[-1], list(range(min(self._minds.burst, len(self._browsers))))
        for number in people:
            self._click(number, "yes", CATEGORIES)
            await self._work_off(number)
        pop.link.cut()
        pop.look()
        for number in people:
            browser = self._browsers[number]
            self._click(number, "no", CATEGORIES[:1])
            await browser.send(pop, browser.queue.popleft(), lost=False)
        self._verdict.seen["bursts"] += 1
        pop.link.heal()
        pop.look()
        began = self._loop.time()
        pop.sync.hint()
        with suppress(TimeoutError):
            await self._until(lambda: not pop.store.outbox.pending(), every_s=0.05)
        self._verdict.burst_s = round(self._loop.time() - began, 2)
        if self._verdict.burst_s > BURST_S:
            self._verdict.break_("burst_over_s", f"{len(people)} withdrawals took {self._verdict.burst_s} s")
        await self._quiet()

    async def _judge(self) -> None:
        for number, (browser, person) in enumerate(zip(self._browsers, self._people, strict=True)):
            await self._judge_one(number, browser, person)
            if number % 10 == 0:
                await self._one_more_yes(number, browser)

    async def _judge_one(self, number: int, browser: Browser, person: Person) -> None:
        state = await browser.look(self._pops[0]) or {}
        choices = set(state.get("choices") or ())  # of which each is effective here
        shown = {pop.number: set(await pop.shows(browser.cookies(session=False))) for pop in self._pops[:2]}
        for category, word in person.words.items():
            if word.kind == "no" and category in choices:
                self._verdict.break_("no_lost", f"browser {number}, {category}")
            if word.kind == "yes" and word.turn in browser.recorded:
                lacking = [pop for pop, there in shown.items() if category not in there]
                if category not in choices or lacking:
                    where = f"POPs {lacking}" if lacking else "the record"
                    self._verdict.break_("yes_lost", f"browser {number}, {category}: {where}")

    async def _one_more_yes(self, number: int, browser: Browser) -> None:
        self._click(number, "yes", CATEGORIES[:1])
        turn = browser.clicks
        await self._work_off(number)
        if turn not in browser.recorded:
            self._verdict.break_("locked_out", f"browser {number}")

    def _some(self, share: float) -> tuple[str, ...]:
        """Some of the categories, at least one."""
        chosen = tuple(category for category in CATEGORIES if self._random.random() < share)
        return chosen or (self._random.choice(CATEGORIES),)

    async def _until(self, met: Callable[[], bool], every_s: float = 0.25) -> None:
        """Raises: TimeoutError."""
        async with asyncio.timeout(SETTLE_S):
            while not met():
                await asyncio.sleep(every_s)
                for pop in self._pops:
                    pop.check()
