"""People who change their mind while they look at pictures, and what is counted against their own word.

A visitor says yes, no and yes again within seconds, at any POP, sometimes before the answer to the click before; what
is refused or not answered is sent again with the same key. Meanwhile their browser asks for pictures and for its state.
Each second browser keeps no `consent-no` and stays at one POP: nothing but that POP's disk keeps what it said.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from consent_core.formats.token import CATEGORIES
from fleet.simulated_browser import PLAIN_NAMES, Browser, Change, Pop
from runtime_host.pop.serving.cookies import CookieNames

# What must stay 0, and what each counts.
PROMISES = {
    "personalised_after_no": "answers in a category whose last word is an acknowledged no",
    "yes_lost": "last words that were a recorded yes and are not recorded or not shown in the end",
    "no_lost": "last words that were an acknowledged no and are recorded or shown in the end",
    "locked_out": "browsers that get no state, or whose further yes is not recorded, in the end",
}
SLOT = "/v1/slots/home-hero?section=water&path=/"
DEFAULT = "default"
PLAIN = 2  # each second browser keeps no `consent-no`
TRIES = 6  # of one change, as the page's module does it
FIRST_WAIT_S = 0.3  # before a change is sent again; then twice as long each time
PAUSE_S = (0.05, 0.6)  # between two requests of one browser
BETWEEN_S = (0.0, 2.0)  # between two changes of mind
LOOKS = 0.2  # share of requests that ask for the state and not for a picture
AT_ONCE = 0.5  # share of clicks after which the next does not wait for an answer
MINDS = (("no", "yes"), ("yes", "no", "yes"), ("yes", "no"), ("no",), ("yes",))

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Verdict:
    """`broken`: by promise; `seen`: how often what makes it hard has happened; `refused`: answers that were none."""

    broken: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def break_(self, promise: str, example: str) -> None:
        """Count a broken promise."""
        self.broken[promise] += 1
        if len(self.examples) < 20:
            self.examples.append(f"{promise}: {example}")


class Visitor:
    """Person `number` and their browser. `_words`: the last click on each category."""

    def __init__(
        self,
        number: int,
        pops: Sequence[Pop],
        verdict: Verdict,
        *,
        seed: int = 1,
        names: CookieNames = PLAIN_NAMES,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._name = f"browser {number}"
        self._pops = pops
        self._verdict = verdict
        self._sleep = sleep
        self._random = Random(f"{seed}/{number}")  # noqa: S311  a run is repeated by its seed
        home = (number // PLAIN) % len(pops)
        self._browser = Browser(self._random, home, keeps_no=number % PLAIN != 0, names=names)
        self._words: dict[str, Change] = {}

    async def arrive(self) -> None:
        """The first yes."""
        self.click("yes", CATEGORIES)
        await self.work_off()

    async def live(self, until: asyncio.Event) -> None:
        """Change one's mind and look at pictures, until told to stop."""
        while not until.is_set():
            async with asyncio.TaskGroup() as group:
                changing = group.create_task(self._change_mind())
                while not changing.done():
                    await self.ask()
                    await self._sleep(self._random.uniform(*PAUSE_S))
            await self.ask()

    def click(self, kind: str, categories: tuple[str, ...]) -> None:
        """Say it. It is sent in its turn."""
        change = self._browser.click(kind, categories, int(time.time()))
        self._words.update(dict.fromkeys(categories, change))
        self._verdict.seen["clicks"] += 1

    async def work_off(self) -> None:
        """Send what was said, one change at a time."""
        queue = self._browser.queue
        while queue:
            placed = await self._send(queue[0])
            change = queue.popleft()
            if placed and change.kind == "yes":  # a session is presented once soon after it was given
                await self._browser.look(self._pop())

    async def ask(self) -> None:
        """One request for a picture or the state: no answer may go against the last word."""
        refused = self._refused()
        shown = await self._shown()
        if shown is None:
            self._verdict.seen["unanswered"] += 1
            return
        self._verdict.seen["answers"] += 1
        self._verdict.seen["personalised"] += bool(shown)
        self._verdict.seen["answers_after_no"] += bool(refused)
        for category in shown & refused & self._refused():  # also not overtaken while it was answered
            self._verdict.break_("personalised_after_no", f"{self._name}, {category}")

    async def judge(self) -> None:
        """Nothing is on its way any more: each POP records and shows the last word."""
        for pop in self._pops:
            state = await self._browser.look(pop)
            if state is None:
                self._verdict.break_("locked_out", f"{self._name}: no state at POP {pop.number}")
                continue
            where, effective = f"{self._name} at POP {pop.number}", set(state["categories"])
            self._compare(where, recorded=set(state["choices"]), shown=effective)

    async def say_yes_again(self) -> None:
        """One more yes works."""
        self.click("yes", CATEGORIES[:1])
        turn = self._browser.clicks
        await self.work_off()
        if turn not in self._browser.recorded:
            self._verdict.break_("locked_out", f"{self._name}: a further yes is not recorded")

    def _compare(self, where: str, recorded: set[str], shown: set[str]) -> None:
        refused = self._refused()
        for category, word in self._words.items():
            if category in refused and category in recorded | shown:
                self._verdict.break_("no_lost", f"{where}: {category}")
            if self._is_recorded(word, "yes") and category not in recorded & shown:
                self._verdict.break_("yes_lost", f"{where}: {category}")

    async def _change_mind(self) -> None:
        categories = self._some()
        for kind in self._random.choice(MINDS):
            self.click(kind, categories)
            if self._random.random() < AT_ONCE:
                continue
            await self.work_off()
            await self._sleep(self._random.uniform(*BETWEEN_S))
        await self.work_off()
        await self._sleep(self._random.uniform(*BETWEEN_S))

    async def _send(self, change: Change) -> bool:
        for nth in range(TRIES):
            if await self._browser.send(self._pop(), change, lost=False):
                self._count(change)
                return True
            self._verdict.seen["sent_again"] += 1
            await self._sleep(FIRST_WAIT_S * 2**nth * self._random.uniform(0.75, 1.25))
        self._verdict.seen["given_up"] += 1
        return False

    def _count(self, change: Change) -> None:
        if self._browser.pending.pop(change.key, None) is not None:
            self._verdict.seen["noes_pending"] += 1
        elif change.turn in self._browser.recorded:
            self._verdict.seen["noes" if change.kind == "no" else "yeses"] += 1

    def _pop(self) -> Pop:
        """Any POP; always the same for a browser whose noes only a POP keeps."""
        return self._random.choice(self._pops) if self._browser.keeps_no else self._pops[self._browser.home]

    async def _shown(self) -> set[str] | None:
        """The categories that an answer was decided by."""
        pop, browser = self._pop(), self._browser
        if self._random.random() < LOOKS:
            state = await browser.look(pop)
            return None if state is None else set(state["categories"])
        answered = await pop.http("GET", SLOT, {}, b"", browser.cookies(session=False))
        return {answered.json()["category"]} - {DEFAULT} if answered.status == 200 else None

    def _refused(self) -> set[str]:
        """Categories whose last word is an acknowledged no."""
        return {category for category, word in self._words.items() if self._is_recorded(word, "no")}

    def _is_recorded(self, word: Change, kind: str) -> bool:
        return word.kind == kind and word.turn in self._browser.recorded

    def _some(self) -> tuple[str, ...]:
        chosen = tuple(category for category in CATEGORIES if self._random.random() < 0.5)
        return chosen or (self._random.choice(CATEGORIES),)
