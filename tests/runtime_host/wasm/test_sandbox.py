"""One instance per request, a queue in front, and an event loop that goes on."""

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from consent_core.decision.contract import (
    Candidate,
    Decision,
    Ok,
    Signals,
)
from consent_core.errors import Unavailable, Untrusted
from runtime_host.wasm.exports import DECIDE, VALIDATE
from runtime_host.wasm.sandbox import IDLE_S, MIB, Limits, SandboxPool
from tests.runtime_host.wasm import guests
from tests.runtime_host.wasm.guests import compiled, deciding


def _arguments(asset: str, entropy: int = 3) -> tuple[object, ...]:
    return "home-hero", Signals(), (Candidate(asset, ("tag",), (f"copy of {asset}",)),), entropy


def _decided(answer: Ok[Decision]) -> Decision:
    assert isinstance(answer, Ok)
    return answer.value


@pytest.fixture
def counting() -> SandboxPool:
    return SandboxPool(compiled(guests.counting()), Limits(wait_s=60))  # however busy the machine is


def test_every_request_is_the_first_call_of_an_instance_of_its_own(counting: SandboxPool) -> None:
    """Whether the instance was made ahead or on the spot; there is never a second."""
    calls = []
    for prepared in (False, True, False, True):
        if prepared:
            counting.prepare()
        calls.append(_decided(counting.call(*_arguments("asset"))).propensity)

    assert calls == [1, 1, 1, 1]


def test_an_instance_remembers_nothing() -> None:
    """This guest answers with the first thing it ever saw, and each request is that: it finds the guest as built."""
    pool = SandboxPool(compiled(guests.remembering()))

    assert [_decided(pool.call(*_arguments(f"asset-{n}"))).asset for n in range(2)] == ["asset-0", "asset-1"]


def test_an_instance_that_was_touched_remembers_one_public_request() -> None:
    """The same guest, called once before any request: what it remembers is in our source, and of no request."""
    pool = SandboxPool(compiled(guests.remembering()))
    public = DECIDE.public[0][2][0].asset
    for n in range(3):
        pool.prepare()
        pool.touch()

        assert _decided(pool.call(*_arguments(f"asset-of-visitor-{n}"))).asset == public


def test_an_instance_is_touched_once_and_only_when_there_is_one(counting: SandboxPool) -> None:
    """Its request is then the second call; without an instance made ahead nothing is made for it."""
    counting.touch()
    assert _decided(counting.call(*_arguments("asset"))).propensity == 1

    counting.prepare()
    counting.touch()
    counting.touch()
    assert _decided(counting.call(*_arguments("asset"))).propensity == 2


def test_an_idle_pool_touches_what_it_made_ahead(counting: SandboxPool) -> None:
    """Some milliseconds after the last reply, and never between replies that follow each other."""

    async def ask_until_touched() -> set[int]:
        found = set()
        for _ in range(1_000):
            found.add(_decided(await counting.acall(*_arguments("asset"))).propensity)
            if 2 in found:
                break
            await asyncio.sleep(2 * IDLE_S)
        return found

    assert 2 in asyncio.run(ask_until_touched())


def test_a_guest_that_fails_a_public_request_is_not_kept() -> None:
    """The request that comes next meets another instance, and the reason."""
    with SandboxPool(compiled(deciding("unreachable"))) as pool:
        pool.prepare()
        with pytest.raises(Unavailable, match="trapped"):
            pool.touch()
        pool.touch()
        with pytest.raises(Unavailable, match="trapped"):
            pool.call(*_arguments("asset"))


def test_threads_with_opposite_requests_each_get_their_own_answer(counting: SandboxPool) -> None:
    """Every answer equals what that request alone would have got on a fresh host."""
    requests = [(f"asset-{n}-☃" * (n % 7 + 1), n % 16) for n in range(300)]
    random.Random(7).shuffle(requests)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda request: _decided(counting.call(*_arguments(*request))), requests))

    expected = [(asset, f"copy of {asset}", entropy, 1) for asset, entropy in requests]
    assert expected == [(a.asset, a.copy, a.adjustment.brightness, a.propensity) for a in answers]


def test_interleaved_async_requests_each_get_their_own_answer(counting: SandboxPool) -> None:
    """As many at once as the queue holds: all are served, in turn, none fails."""

    async def all_at_once() -> list[Ok[Decision]]:
        return await asyncio.gather(*(counting.acall(*_arguments(f"asset-{n}", n % 16)) for n in range(200)))

    answers = asyncio.run(all_at_once())

    assert [f"asset-{n}" for n in range(200)] == [_decided(answer).asset for answer in answers]
    assert {1} == {_decided(answer).propensity for answer in answers}


def test_the_event_loop_goes_on_while_a_guest_runs() -> None:
    """A guest that uses up its deadline does not stop other tasks of the loop."""
    loops = deciding("(loop $again (br $again)) unreachable")
    pool = SandboxPool(compiled(loops), Limits(deadline_s=0.1))

    async def count_meanwhile() -> int:
        request = asyncio.ensure_future(pool.acall(*_arguments("asset")))
        turns = 0
        while not request.done():
            await asyncio.sleep(0)
            turns += 1
        with pytest.raises(Unavailable):
            await request
        return turns

    assert asyncio.run(count_meanwhile()) > 100


def test_a_cancelled_caller_leaves_the_pool_in_order(counting: SandboxPool) -> None:
    """Cancelled while queued, while running or already answered: the next request gets its own answer."""

    async def cancel_some() -> Decision:
        requests = [asyncio.ensure_future(counting.acall(*_arguments(f"gone-{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        for request in requests[::2]:
            request.cancel()
        answers = await asyncio.gather(*requests, return_exceptions=True)
        kept = [answer for answer in answers if isinstance(answer, Ok)]
        assert len(kept) == 10
        return _decided(await counting.acall(*_arguments("stays")))

    decision = asyncio.run(cancel_some())

    assert (decision.asset, decision.propensity) == ("stays", 1)


def test_a_full_queue_refuses_at_once(counting: SandboxPool) -> None:
    """Back-pressure is bounded: the one request too many hears `sandbox-busy`, the others are served."""
    pool = SandboxPool(compiled(guests.counting()), Limits(queue=3))

    async def one_too_many() -> list[object]:
        return await asyncio.gather(*(pool.acall(*_arguments("asset")) for _ in range(4)), return_exceptions=True)

    *served, refused = asyncio.run(one_too_many())

    assert all(isinstance(answer, Ok) for answer in served)
    assert isinstance(refused, Unavailable)
    assert refused.code == "sandbox-busy"


def test_waiting_has_an_end() -> None:
    """A request queued behind slow ones is refused when its time is up, without running."""
    loops = deciding("(loop $again (br $again)) unreachable")
    limits = Limits(deadline_s=1.5, wait_s=0.75)  # a busy machine takes its time to start the first
    pool = SandboxPool(compiled(loops), limits)

    async def three() -> list[object]:
        return await asyncio.gather(*(pool.acall(*_arguments("asset")) for _ in range(3)), return_exceptions=True)

    codes = [failure.code for failure in asyncio.run(three()) if isinstance(failure, Unavailable)]

    assert codes == ["sandbox-deadline", "sandbox-busy", "sandbox-busy"]


def test_arguments_that_do_not_fit_reach_the_caller_and_nobody_else(counting: SandboxPool) -> None:
    """The instance that was waiting for them is dropped too."""
    with pytest.raises(ValueError, match="expected 0 to 255"):
        counting.call(*_arguments("asset", 256))

    assert _decided(counting.call(*_arguments("asset"))).propensity == 1


def test_a_closed_pool_refuses(counting: SandboxPool) -> None:
    """Closing finishes what runs and frees the instance made ahead."""
    asyncio.run(counting.acall(*_arguments("asset")))
    counting.close()

    with pytest.raises(Unavailable):
        counting.call(*_arguments("asset"))
    with pytest.raises(Unavailable):
        asyncio.run(counting.acall(*_arguments("asset")))


def test_a_component_without_a_known_function_is_refused() -> None:
    """A pool is for the functions of the contract."""
    with pytest.raises(Untrusted) as refusal:
        SandboxPool(compiled(guests.echo()))

    assert refusal.value.code == "component-exports"


def test_a_component_with_another_function_than_asked_for_is_refused() -> None:
    """A validly signed component in the wrong place does not run."""
    with pytest.raises(Untrusted) as refusal:
        SandboxPool(compiled(guests.counting()), export=VALIDATE)

    assert refusal.value.code == "component-exports"


def test_a_component_built_against_another_contract_is_refused_with_both_types() -> None:
    """One more field, or an enum with its cases in another order, would be misread on every request."""
    for old, new in (("propensity: u8", "propensity: u16"), ("no-candidates, no-signal", "no-signal, no-candidates")):
        assert old in guests.CONTRACT
        other = guests.CONTRACT.replace(old, new)
        core = guests.core_of_decide("unreachable")

        with pytest.raises(Untrusted, match="this host calls") as refusal:
            SandboxPool(compiled(guests.component(core, other, "edge-personalization")))
        assert refusal.value.code == "component-exports"


def test_a_component_with_an_import_is_refused() -> None:
    """There is nothing to import: what a guest cannot call cannot leak, block or raise."""
    wit = guests.CONTRACT.replace("world edge-personalization {", "world edge-personalization { import signature;")
    core = guests.core_of_decide("unreachable").replace(
        "(module",
        """(module (import "consent-edge:functions/signature@0.1.0" "verify"
          (func (param i32 i32 i32 i32 i32 i32 i32 i32)))""",
        1,
    )

    with pytest.raises(Untrusted) as refusal:
        SandboxPool(compiled(guests.component(core, wit, "edge-personalization")))

    assert refusal.value.code == "component-imports"


def test_served_requests_leave_no_memory_behind(counting: SandboxPool) -> None:
    """Instance, arguments and result of each request are freed: 200 KB each would show soon."""
    text = "x" * 200_000

    def round_of(times: int) -> int:
        for _ in range(times):
            assert _decided(counting.call(*_arguments(text))).asset == text
        return psutil.Process().memory_info().rss

    first = round_of(20)

    assert round_of(300) - first < 16 * MIB


def test_pools_of_many_threads_do_not_disturb_each_other() -> None:
    """Each thread with a pool of its own: the ticker and the engine are all they share."""
    failures: list[object] = []

    def work(name: str) -> None:
        with SandboxPool(compiled(guests.counting())) as pool:
            for n in range(60):
                answer = _decided(pool.call(*_arguments(f"{name}-{n}")))
                if answer.asset != f"{name}-{n}":
                    failures.append(answer)

    threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
