"""Hints over a real NATS server: one wakes a poll, none is believed, and a server that dies ends nothing."""

import asyncio
import contextlib

import nats
import pytest

from consent_core import nats_hints
from consent_core.nats_hints import STREAM, SUBJECT, listen, publish, read_push_url
from tests.nats_server import NatsServer

SOON_S = 60.0  # for a loaded machine; nothing waits for it to pass


class Log:
    """A head that moves, as the control plane's log shows it to those who wait."""

    def __init__(self) -> None:
        self.head = 0
        self.moved = asyncio.Event()

    def append(self) -> None:
        self.head += 1
        self.moved.set()

    async def beyond(self, after: int, timeout_s: float) -> int:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.head <= after:
                    self.moved.clear()
                    await self.moved.wait()
        return self.head


class Pop:
    """One who listens: how often it was woken, and what failed meanwhile."""

    def __init__(self) -> None:
        self.wakes = 0
        self.codes: set[str] = set()
        self.failing = asyncio.Event()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self.wakes += 1
        self._woken.set()

    def failed(self, error) -> None:
        self.codes.add(error.code)
        self.failing.set()

    async def woken(self, times: int) -> None:
        async with asyncio.timeout(SOON_S):
            while self.wakes < times:
                self._woken.clear()
                await self._woken.wait()


@pytest.fixture
def server(tmp_path):
    running = NatsServer(tmp_path).start()
    yield running
    running.kill()


@contextlib.asynccontextmanager
async def both(url: str):
    """A control plane that publishes and a POP that listens, for as long as the block lasts."""
    log, pop = Log(), Pop()
    tasks = [
        asyncio.create_task(publish(url, log.beyond, pop.failed)),
        asyncio.create_task(listen(url, pop.wake, pop.failed)),
    ]
    try:
        yield log, pop
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def appended(log: Log, pop: Pop) -> None:
    """Append until the POP is woken: the first entries may go out before it has subscribed."""
    before = pop.wakes
    log.append()
    await pop.woken(before + 1)


def test_a_head_that_moves_wakes_whoever_listens(server):
    """Each of five entries leads to a wake after it."""

    async def scenario() -> None:
        async with both(server.url) as (log, pop):
            await pop.woken(1)  # the connection itself
            for _ in range(5):
                await appended(log, pop)
            assert pop.codes == set()

    asyncio.run(scenario())


def test_the_server_keeps_the_newest_head_alone(server):
    """JetStream holds one message, whatever was published before."""

    async def scenario() -> None:
        async with both(server.url) as (log, pop):
            for _ in range(4):
                await appended(log, pop)
            client = await nats.connect(server.url)
            stream = client.jetstream()
            for _ in range(1_000):
                if (kept := (await stream.get_last_msg(STREAM, SUBJECT)).data) == b"4":
                    break
                await asyncio.sleep(0.01)
            assert kept == b"4"
            assert (await stream.stream_info(STREAM)).state.messages == 1
            await client.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [NatsServer.kill, NatsServer.freeze])
def test_hints_come_again_after_the_server(server, fault, monkeypatch):
    """Killed or frozen and begun anew without its memory: both sides come back by themselves, and say what it was."""
    monkeypatch.setattr(nats_hints, "PING_S", 1)

    async def scenario() -> None:
        async with both(server.url) as (log, pop):
            await appended(log, pop)
            fault(server)
            log.append()
            async with asyncio.timeout(SOON_S):
                await pop.failing.wait()
            assert pop.codes == {"push-unreachable"}
            server.kill()
            server.start()
            before = pop.wakes
            await pop.woken(before + 1)
            await appended(log, pop)

    asyncio.run(scenario())


def test_a_server_that_comes_late_is_found(server):
    """Neither side needs it to start."""
    server.kill()

    async def scenario() -> None:
        async with both(server.url) as (log, pop):
            async with asyncio.timeout(SOON_S):
                await pop.failing.wait()
            server.start()
            await pop.woken(1)
            await appended(log, pop)

    asyncio.run(scenario())


def test_a_flood_of_hints_wakes_seldom(server):
    """10,000 messages of anybody, of any content, are a few wakes: a poll costs more than a hint."""

    async def scenario() -> None:
        pop = Pop()
        task = asyncio.create_task(listen(server.url, pop.wake, pop.failed))
        await pop.woken(1)
        client = await nats.connect(server.url)
        begun = asyncio.get_running_loop().time()
        for i in range(10_000):
            await client.publish(SUBJECT, b"\xff" * (i % 50))
        await client.flush()
        await pop.woken(2)
        await asyncio.sleep(2 * nats_hints.GAP_S)
        passed = asyncio.get_running_loop().time() - begun
        assert pop.wakes <= 2 + passed / nats_hints.GAP_S
        assert not task.done()
        await client.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_a_cancellation_that_the_client_swallows_ends_it_all_the_same(server, monkeypatch):
    """nats-py can take a cancellation for a time-out; a control plane must end when it is told."""
    publishing = asyncio.Event()

    async def swallowing(_client, _head) -> None:
        publishing.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def scenario() -> None:
        log, pop = Log(), Pop()
        task = asyncio.create_task(publish(server.url, log.beyond, pop.failed))
        log.append()
        await publishing.wait()
        task.cancel()
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(task, return_exceptions=True)

    monkeypatch.setattr(nats_hints, "_publish", swallowing)
    asyncio.run(scenario())


@pytest.mark.parametrize(
    "url", ["nats://127.0.0.1:4222", "tls://edge:secret@nats.example", "nats://[::1]:4222", "nats://a"]
)
def test_addresses_that_are_taken(url):
    assert read_push_url(url) == url


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:4222", "http://127.0.0.1", "nats://", "nats://a:b:c", "nats://a/b", "nats://a b", "nats://a:123456"]
)  # fmt: skip
def test_addresses_that_are_refused(url):
    with pytest.raises(ValueError, match="push_url"):
        read_push_url(url)


def test_a_fault_names_the_place_without_the_password_once():
    """Nobody listens at that port; three attempts are one message."""
    said = []
    outage = nats_hints._Outage("nats://edge:secret@127.0.0.1:4222", said.append)
    for _ in range(3):
        outage.begun(TimeoutError())

    assert [str(error) for error in said] == ["NATS at nats://127.0.0.1:4222: TimeoutError"]
