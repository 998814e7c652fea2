"""The consent API as a POP meets it: mutual TLS, real store on the disk, 100 requests/s that do not wait for answers.

Latency counts from the moment a request was due, so that a slow answer cannot hide the ones behind it.
"""

import asyncio
import multiprocessing
import secrets
import ssl
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from consent_core.clock import ManualClock, SystemClock
from consent_core.formats.consent import ConsentRequest, RefreshRequest, write_request
from consent_core.formats.revocation import GENESIS, Entry, Point, sign_answer
from consent_core.formats.session import Credentials, credentials_of, stored, write_secret
from consent_core.formats.token import CATEGORIES
from consent_core.formats.withdrawals import WithdrawalRow, write_row
from consent_core.trust.keys import KeyStore
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import open_source
from consent_core.trust.tls import client_context
from control_plane.process import serving
from control_plane.settings import Settings

POP = "tokyo-1"
PER_SECOND = 100
WARM_UP_S, SECONDS = 2, 20
CONNECTIONS = 16


def serve(data: Path, ready: Any) -> None:
    """A control plane in a process of its own."""

    async def run() -> None:
        async with serving(Settings(data=data, public_port=0, mesh_port=0)) as running:
            ready.send(running.mesh_port)
            await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The data directory and the mesh port."""
    data = tmp_path_factory.mktemp("control-plane")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(data, theirs), daemon=True)
    process.start()
    yield data, ours.recv()
    process.terminate()
    process.join()


class Connection:
    """One kept-alive mesh connection that costs little, so that what is measured is the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    async def request(self, method: str, path: str, body: bytes) -> int:
        """Send and read one answer to its end; its status."""
        head = f"{method} {path} HTTP/1.1\r\nhost: control-plane\r\ncontent-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode("ascii") + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        await self._reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r")[0]))
        return int(answer[9:12])

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class Visitor:
    """Five calls of one visitor, in their order: grant, refresh, refresh, another grant, withdrawal."""

    def __init__(self) -> None:
        self.made = [credentials_of(write_secret(secrets.token_bytes(32)).encode()) for _ in range(2)]
        self._done = asyncio.Lock()
        self._step = 0

    async def next(self, connection: Connection) -> None:
        """The next call; its answer must be a success."""
        async with self._done:
            assert await connection.request(*self._calls()[self._step]) == 200
            self._step += 1

    def _calls(self) -> list[tuple[str, str, bytes]]:
        first, second = self.made
        refresh = write_request(RefreshRequest(first.grant, "US-CA", False, POP))
        no = WithdrawalRow(secrets.token_urlsafe(16), second.withdraw, None, None, None, None, POP, 0)
        return [
            ("POST", "/v1/consents", self._yes(None, first, CATEGORIES)),
            ("POST", "/v1/consents/-/refresh", refresh),
            ("POST", "/v1/consents/-/refresh", refresh),
            ("POST", "/v1/consents", self._yes(first.grant, second, ("contextual",))),
            ("DELETE", "/v1/consents/-", write_row(no)),
        ]

    def _yes(self, session: str | None, following: Credentials, grant: tuple[str, ...]) -> bytes:
        hashes, key = (stored(following.grant), stored(following.withdraw)), secrets.token_urlsafe(16)
        return write_request(ConsentRequest(session, *hashes, key, grant, "US-CA", False, "adult", POP))


async def load(data: Path, port: int) -> list[float]:
    """Seconds from due to answered, of every request after the warm-up."""
    clock = SystemClock()
    source = open_source(data, SpiffeId.of("ui-tools", "edge", POP), clock=clock)
    waits: list[float] = []
    # Twenty visitors at a time take turns, so that the calls of one are 200 ms apart.
    visitors = [visitor for _ in range(PER_SECOND) for visitor in [Visitor() for _ in range(20)] * 5]
    context = client_context(source, clock, role="control-plane")
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await Connection.open(port, context))
    start = time.perf_counter() + 0.1

    async def one(number: int) -> None:
        due = start + number / PER_SECOND
        await asyncio.sleep(due - time.perf_counter())
        connection = await idle.get()
        await visitors[number].next(connection)
        idle.put_nowait(connection)
        if number >= WARM_UP_S * PER_SECOND:
            waits.append(time.perf_counter() - due)

    await asyncio.gather(*(one(number) for number in range((WARM_UP_S + SECONDS) * PER_SECOND)))
    for _ in range(CONNECTIONS):
        await idle.get_nowait().close()
    return waits


def test_consent_api_at_100_requests_per_second(benchmark: BenchmarkFixture, listening: tuple[Path, int]) -> None:
    """`extra_info.p99`: seconds."""
    waits: list[float] = benchmark.pedantic(lambda: asyncio.run(load(*listening)), rounds=1)
    benchmark.extra_info["p99"] = float(np.quantile(waits, 0.99))
    benchmark.extra_info["p50"] = statistics.median(waits)
    benchmark.extra_info["max"] = max(waits)
    benchmark.extra_info["requests"] = len(waits)


def test_signing_a_full_answer(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A poll that gets 1,000 entries: the most work one answer can be."""
    signer = KeyStore.open(tmp_path, create=True, clock=ManualClock()).current("log")
    entries = [
        Entry(seq, GENESIS, "A" * 22, "session", f"{seq:064x}", ("behavioral",), 2, 1, 1_800_000_000, "stop")
        for seq in range(1, 1001)
    ]

    assert len(benchmark(sign_answer, entries, Point(1000, GENESIS), "A" * 22, "n" * 22, 1_800_000_000, signer)) > 1000
