"""Connections are shared out between the processes of a POP, and none waits for a process that does not take any."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.workers.accepting import Accepting


class Counted(asyncio.Protocol):
    """Stands for a POP's protocol: is in `open` while its connection is."""

    def __init__(self, held: set) -> None:
        self.open = held

    def connection_made(self, transport) -> None:
        self.open.add(self)
        transport.write(b"!")

    def connection_lost(self, _) -> None:
        self.open.discard(self)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as made:
        made.setblocking(False)
        yield made


@pytest.fixture
def boards() -> Iterator[list[SharedState]]:
    lead = SharedState.make(2)
    worker = SharedState.join(os.dup(lead.fd), 1, 2)
    yield [lead, worker]
    worker.close()
    lead.close()


def share(listening: socket.socket, shared_state: SharedState) -> tuple[Accepting, set]:
    held: set = set()
    return Accepting(listening, lambda: Counted(held), lambda: len(held), shared_state), held


async def connect(listening: socket.socket, times: int) -> list[asyncio.StreamWriter]:
    """So many at once, each answered by the process that took it."""
    opened = await asyncio.gather(*(asyncio.open_connection(*listening.getsockname()) for _ in range(times)))
    for reader, _ in opened:
        assert await asyncio.wait_for(reader.read(1), 60) == b"!"
    return [writer for _, writer in opened]


async def hang_up(writers: list[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.close()
        await writer.wait_closed()


def test_a_burst_is_shared_out(listening, boards, run) -> None:
    """Neither takes all; later ones go to the process that has fewer."""

    async def burst():
        with listening.dup() as inherited:  # a loop knows a descriptor once
            inherited.setblocking(False)
            one, mine = share(listening, boards[0])
            other, its = share(inherited, boards[1])
            writers = await connect(listening, 40)
            counts = len(mine), len(its)
            one.close()
            other.close()
            await hang_up(writers)
        return counts

    counts = run(burst())
    assert sum(counts) == 40
    assert max(counts) - min(counts) <= 8


@pytest.mark.parametrize(("aside_s", "taken"), [(3_600, 1), (0.01, 2)])
def test_who_has_more_leaves_a_new_one_to_others_first(listening, boards, run, monkeypatch, aside_s, taken) -> None:
    """For a moment another process can take it; then it is taken after all."""
    monkeypatch.setattr("runtime_host.pop.workers.accepting.ASIDE_S", aside_s)

    async def left():
        accepting, held = share(listening, boards[0])
        writers = await connect(listening, 1)
        boards[1].have_connections(0)
        writers.append((await asyncio.open_connection(*listening.getsockname()))[1])
        await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            while len(held) < taken:  # noqa: ASYNC110 - the listener raises no event
                await asyncio.sleep(0.01)
        count = len(held)
        with contextlib.nullcontext() if taken == 2 else listening.accept()[0]:  # another process
            accepting.close()
        await hang_up(writers)
        return count

    assert run(left()) == taken


@pytest.mark.parametrize("gone", [False, True])
def test_who_takes_none_keeps_nobody_waiting(listening, boards, run, gone) -> None:
    """A process that hangs with no connection, or has ended: the other one takes all, soon."""

    async def alone():
        boards[1].have_connections(0)
        if gone:
            boards[0].leave(1)
        accepting, held = share(listening, boards[0])
        async with asyncio.timeout(60):
            writers = await connect(listening, 60)
        count = len(held)
        accepting.close()
        await hang_up(writers)
        return count

    assert run(alone()) == 60


def test_after_closing_nothing_is_taken(listening, boards, run) -> None:
    """And the others are not told to leave it any."""

    async def closed():
        accepting, held = share(listening, boards[0])
        boards[1].have_connections(7)
        accepting.close()
        await accepting.wait_closed()
        _, writer = await asyncio.open_connection(*listening.getsockname())
        await asyncio.sleep(0.05)
        await hang_up([writer])
        return len(held), boards[1].fewest_connections()

    assert run(closed()) == (0, 7)
