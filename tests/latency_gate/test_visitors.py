"""People who change their mind: a POP that keeps its word breaks no promise, one that does not is told which."""

import asyncio
import json

import pytest

from consent_core.formats.token import CATEGORIES
from fleet.simulated_browser import Answered
from latency_gate.visitors import PROMISES, Verdict, Visitor

PAUSES = 400  # pauses of all visitors together, before they are told to stop


class SmallPop:
    """A POP in a few lines. All POPs of a run share `records`: categories by session. `fault`: how it breaks its word.

    A browser changes one thing at a time, so that the order of arrival is the order of its clicks.
    """

    def __init__(self, number, records, fault):
        self.number, self.records, self.fault = number, records, fault

    async def http(self, method, path, headers, body, cookies):
        await asyncio.sleep(0)
        sent = dict(pair.split("=", 1) for pair in cookies.decode().split("; ") if pair)
        who = sent.get("consent-session") or sent.get("consent-token") or f"v{len(self.records)}"
        on = self.records.setdefault(who, set())
        if path.startswith("/v1/slots/"):
            return answer({"category": min(on, default="default")})
        return self.change(method, who, on, json.loads(body or b"{}"))

    def change(self, method, who, on, wanted):
        cookies = [(b"set-cookie", f"{name}={who}; Path=/".encode()) for name in ("consent-session", "consent-token")]
        choices = on | set(wanted.get("grant", ()))
        if method == "POST" and self.fault == "takes no second yes" and who in self.records and on:
            return Answered(409, [], b"{}")
        if method == "POST" and self.fault != "forgets a yes":
            on |= choices
        if method == "DELETE" and self.fault != "forgets a no":
            on -= set(wanted["categories"])
        if method != "POST":
            choices = set(on)
        if self.fault == "shows nothing of it":
            on.clear()
        return answer({"ver": 0, "choices": sorted(choices), "categories": sorted(choices)}, cookies)


def answer(value, headers=()):
    return Answered(200, list(headers), json.dumps(value).encode())


def play(fault=""):
    """Two POPs, six visitors, a run without a real pause. Returns what was counted."""
    records, verdict, stop, pauses = {}, Verdict(), asyncio.Event(), []

    async def sleep(_):
        pauses.append(None)
        if len(pauses) > PAUSES:
            stop.set()
        await asyncio.sleep(0)

    async def run():
        pops = [SmallPop(number, records, fault) for number in (1, 2)]
        people = [Visitor(number, pops, verdict, sleep=sleep) for number in range(6)]
        for one in people:
            await one.arrive()
        await asyncio.gather(*(one.live(stop) for one in people))
        for one in people:
            await one.judge()
            await one.say_yes_again()

    asyncio.run(run())
    return verdict


def test_a_pop_that_keeps_its_word_breaks_no_promise():
    """And what makes it hard has happened."""
    verdict = play()
    assert verdict.broken == {}
    assert all(verdict.seen[name] > 10 for name in ("answers", "personalised", "answers_after_no", "noes", "yeses"))


@pytest.mark.parametrize(
    ("fault", "promises"),
    [
        ("forgets a no", {"personalised_after_no", "no_lost"}),
        ("forgets a yes", {"yes_lost"}),
        ("shows nothing of it", {"yes_lost"}),
        ("takes no second yes", {"locked_out"}),
    ],
)
def test_a_pop_that_breaks_its_word_is_counted(fault, promises):
    """Each fault breaks its own promises and no other."""
    broken = play(fault).broken
    assert set(broken) == promises <= set(PROMISES)


def test_what_was_never_acknowledged_is_no_promise():
    """A no that no POP has answered may be shown; it counts once it is answered."""
    verdict, records = Verdict(), {}
    pops = [SmallPop(number, records, "") for number in (1, 2)]
    visitor = Visitor(0, pops, verdict)

    async def run():
        await visitor.arrive()
        visitor.click("no", CATEGORIES)
        for _ in range(20):
            await visitor.ask()
        before = verdict.broken.total()
        pops[0].fault = pops[1].fault = "forgets a no"
        await visitor.work_off()
        await visitor.ask()
        return before

    assert asyncio.run(run()) == 0
    assert verdict.broken["personalised_after_no"] > 0
