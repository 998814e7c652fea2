"""A POP's hot path: over HTTP against the bare server's hello-world of the same run, and its pieces in microseconds.

`wrk` (Debian) loads both from one thread with 16 connections, in turns, so that a busy machine slows both. The POP has
native functions and small pictures: on this path no function runs and no picture is made.
"""

import asyncio
import gc
import multiprocessing
import re
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from consent_core.decision.signals import page_context
from runtime_host.pop.process.listeners import _server
from runtime_host.pop.serving.pipeline import Visit
from tests.runtime_host.pop.edge import TOKEN_COOKIE, Edge, ask, make_edge

ROUNDS = 5
SECONDS = 2
QUERY = b"w=120&section=camping&tags=tent"
PATH = f"/v1/images/home-hero?{QUERY.decode()}"
BROWSER = {
    "host": "127.0.0.1",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/156",
    "accept": "image/avif,image/webp,image/apng,image/*,*/*;q=0.8",
    "sec-fetch-site": "same-origin",
}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """What the server alone can do."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


def settle_memory() -> None:
    """As `process.serve` does before it listens."""
    gc.collect()
    gc.freeze()


def serve(directory: Path, ready: Any) -> None:
    """In a process of its own: a POP and a hello-world behind the same server."""

    async def run() -> None:
        edge = make_edge(directory)
        await edge.sync()
        servers = [_server(app, "127.0.0.1", 0) for app in (edge.pop.public_app, hello)]
        settle_memory()
        running = [asyncio.create_task(server.serve()) for server in servers]
        while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.05)
        ports = [server.servers[0].sockets[0].getsockname()[1] for server in servers]
        ready.send((*ports, edge.token("contextual")))
        await asyncio.gather(*running)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, str]]:
    """Ports of the POP and of hello-world, and a token."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(tmp_path_factory.mktemp("pop"), theirs), daemon=True)
    process.start()
    yield ours.recv()
    process.terminate()
    process.join()


def rate(url: str, *headers: str) -> float:
    """Requests per second. Raises: AssertionError if any answer was not 2xx."""
    extra = [part for header in headers for part in ("-H", header)]
    command = ["wrk", "-t1", "-c16", f"-d{SECONDS}", *extra, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    assert found is not None, output
    return float(found[1])


def test_hot_image_over_http(benchmark: BenchmarkFixture, listening: tuple[int, int, str]) -> None:
    """`extra_info.ratio`: median over rounds of the POP's rate to hello-world's."""
    pop, bare, token = listening
    headers = [f"{name}: {value}" for name, value in BROWSER.items() if name != "host"]  # wrk says its own
    headers.append(f"Cookie: {TOKEN_COOKIE}={token}")
    rate(f"http://127.0.0.1:{pop}{PATH}", *headers)  # warm
    rounds: list[tuple[float, float]] = []

    def one_round() -> None:
        rounds.append((rate(f"http://127.0.0.1:{pop}{PATH}", *headers), rate(f"http://127.0.0.1:{bare}/")))

    benchmark.pedantic(one_round, rounds=ROUNDS)
    benchmark.extra_info["ratio"] = statistics.median(ours / theirs for ours, theirs in rounds)
    benchmark.extra_info["requests_per_s"] = statistics.median(ours for ours, _ in rounds)
    benchmark.extra_info["hello_per_s"] = statistics.median(theirs for _, theirs in rounds)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as made:
        yield made


@pytest.fixture
def warm(tmp_path: Path, runner: asyncio.Runner) -> Iterator[tuple[Edge, dict[bytes, bytes]]]:
    """A POP that has answered this visitor before, and the visitor's headers."""
    edge = make_edge(tmp_path)
    runner.run(edge.sync())
    token = edge.token("contextual")
    headers = {**BROWSER, "cookie": f"{TOKEN_COOKIE}={token}"}
    runner.run(ask(edge.pop.public_app, "GET", PATH, headers))
    yield edge, {name.encode(): value.encode() for name, value in headers.items()}
    runner.run(edge.pop.stop())


def settled(coroutine: Any) -> None:
    """Run a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("the hot path waited")


def test_memoised_decision(benchmark: BenchmarkFixture, warm: tuple[Edge, dict[bytes, bytes]]) -> None:
    """From the headers to the decision: credentials, token cache, policy, signals, decision memory."""
    edge, headers = warm
    place, page = edge.pop.delivery.stock.places["home-hero"], page_context(QUERY)
    benchmark(lambda: settled(edge.pop.pipeline.decide(Visit(headers, place, page))))


def test_cached_token_check(benchmark: BenchmarkFixture, warm: tuple[Edge, dict[bytes, bytes]]) -> None:
    """From the headers to what the token is worth."""
    edge, headers = warm
    benchmark(lambda: settled(edge.pop.pipeline.grant(Visit(headers, None, None))))


def test_cached_token_lookup(benchmark: BenchmarkFixture, warm: tuple[Edge, dict[bytes, bytes]]) -> None:
    """The token cache alone, with all its checks."""
    edge, headers = warm
    text = headers[b"cookie"].partition(b"=")[2]
    state, tokens, digest = edge.pop.sync.trust_state, edge.pop.pipeline.tokens, edge.pop.pipeline._validator.digest
    lookup: Callable[[], Any] = lambda: tokens.lookup(text, digest, state, state.generation, state.now())  # noqa: E731
    assert benchmark(lookup) is not None


def test_hot_image_in_process(benchmark: BenchmarkFixture, warm: tuple[Edge, dict[bytes, bytes]]) -> None:
    """The whole request without a server around it."""
    edge, headers = warm

    async def send(_: Any) -> None:
        pass

    def request() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/images/home-hero",
            "query_string": QUERY,
            "headers": list(headers.items()),
        }
        settled(edge.pop.public_app(scope, None, send))

    benchmark(request)
