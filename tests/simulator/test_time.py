"""Simulated time: it jumps while nothing happens, and stands still while somebody computes."""

import asyncio
import time

from starlette.concurrency import run_in_threadpool

from simulator.virtual.time import EPOCH, MachineClock, run_virtual


def test_an_hour_of_waiting_takes_no_time() -> None:
    """And timers fire in their order."""
    fired: list[str] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append(name)

    async def main() -> float:
        await asyncio.gather(wait("late", 3600), wait("soon", 1))
        return asyncio.get_running_loop().time()

    started = time.perf_counter()
    assert run_virtual(main()) >= 3600
    assert time.perf_counter() - started < 600
    assert fired == ["soon", "late"]


def test_time_stands_still_while_a_worker_thread_is_busy() -> None:
    """The real control plane works in threads; its answers must not be late for that."""

    async def main() -> tuple[float, str]:
        loop = asyncio.get_running_loop()
        timer = asyncio.create_task(asyncio.sleep(5, "timer"))
        await run_in_threadpool(lambda: sum(range(300_000)))
        at = loop.time()
        return at, await timer

    assert run_virtual(main()) == (0.0, "timer")


def test_a_skewed_wall_clock_leaves_the_boot_clock_alone() -> None:
    """As on a machine whose date was set wrong."""

    async def main() -> tuple[int, float]:
        clock = MachineClock(asyncio.get_running_loop(), skew=90.0)
        await asyncio.sleep(10)
        return clock.now(), clock.elapsed()

    assert run_virtual(main()) == (EPOCH + 100, 10.0)
