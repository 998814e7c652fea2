"""What the audit trail costs: a POP's hot path with and without it in one run, and its own operations.

One POP, loaded by `wrk` all the while, records in every other tenth of a second: neighbours of a busy machine change
more slowly than that, and two processes are never equally fast. What it records it seals within the same tenth.
Budget: at most 10 % of throughput.
"""

import asyncio
import json
import multiprocessing
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from benches.test_pop_http import BROWSER, PATH, settle_memory
from consent_core.audit.verify import verify
from consent_core.audit.visitors import Person
from consent_core.audit.writer import AuditWriter, encode_fields
from consent_core.clock import SystemClock
from consent_core.formats.token import encode_base64url
from consent_core.trust.providers.keyring import LocalKeyring
from runtime_host.pop.process.listeners import _server
from tests.runtime_host.pop.edge import TOKEN_COOKIE, make_catalogue, make_edge

PAIRS = 120
TURN_S, SETTLE_S = 0.1, 0.01
WARM = 5_000  # requests
WRITER = "edge/tokyo-1"
FIELDS = {
    "listener": "public",
    "method": "GET",
    "route": "images",
    "status": 200,
    "slot": "home-hero",
    "category": "contextual",
    "effective": ["contextual", "behavioral"],
    "asset": "tents",
    "policy": "sha256:" + "a" * 64,
}
PERSON = {"sub": "A" * 22, "jti": "token-1", "ver": 3}
SUBJECT = "5" * 64


def open_writer(directory: Path) -> AuditWriter:
    keyring = LocalKeyring(directory / "keys" / "keyring.json")
    return AuditWriter.open(directory / "audit", WRITER, keyring, SystemClock())


def serve(directory: Path, visitors: int, pipe: Any) -> None:
    """In a process of its own: a POP with a trail, which tells its rates without and with it."""

    async def run() -> None:
        audit = open_writer(directory)
        edge = make_edge(directory / "pop", make_catalogue(directory / "art"), parts={"audit": audit})
        await edge.sync()
        server = _server(edge.pop.public_app, "127.0.0.1", 0)
        settle_memory()
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.05)
        tokens = [edge.token("contextual", sub=encode_base64url(number.to_bytes(16))) for number in range(visitors)]
        pipe.send((server.servers[0].sockets[0].getsockname()[1], tokens))
        while server.server_state.total_requests < WARM + 5 * visitors:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        pipe.send([await compare(edge.pop.public_app, audit, server.server_state) for _ in range(PAIRS)])
        await running

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def compare(app: Any, audit: AuditWriter, state: Any) -> tuple[float, float]:
    """Requests per second without and with records, in turns."""
    recorder, rates = app._recorder, [0.0, 0.0]
    for audited in random.sample((False, True), 2):
        app._recorder = recorder if audited else None
        await asyncio.sleep(SETTLE_S)
        before, started = state.total_requests, time.perf_counter()
        await asyncio.sleep(TURN_S)
        if audited:
            audit.head()  # seals what waits
        rates[audited] = (state.total_requests - before) / (time.perf_counter() - started)
    app._recorder = recorder
    return rates[0], rates[1]


def rates_under_load(
    benchmark: BenchmarkFixture, place: Path, serve: Callable[..., None], *arguments: Any
) -> list[tuple[float, float]]:
    """What `serve(place, *arguments, pipe)` tells of itself in a process of its own, under `wrk`: pairs of rates.

    It sends its port and the tokens to ask with, then the pairs.
    """
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(place, *arguments, theirs), daemon=True)
    process.start()
    theirs.close()  # a process that dies is the end of the pipe
    port, tokens = pipe.recv()
    script = place / "visitors.lua"
    script.write_text(_script(tokens))
    command = ["wrk", "-t1", "-c16", "-d600", "-s", str(script), f"http://127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as load:
        try:
            pairs: list[tuple[float, float]] = benchmark.pedantic(pipe.recv, rounds=1)
        finally:
            load.terminate()
            process.terminate()
            process.join()
    return pairs


@pytest.mark.parametrize("visitors", [1, 1_000])
def test_audited_hot_image_over_http(benchmark: BenchmarkFixture, tmp_path: Path, visitors: int) -> None:
    """`extra_info.ratio`: median over pairs of the rate with records to the rate without."""
    pairs = rates_under_load(benchmark, tmp_path, serve, visitors)
    benchmark.extra_info["ratio"] = statistics.median(audited / plain for plain, audited in pairs)
    benchmark.extra_info["requests_per_s"] = statistics.median(audited for _, audited in pairs)


def _script(tokens: list[str]) -> str:
    """Each visitor in turn, for wrk."""
    headers = "".join(f"[{json.dumps(name)}]={json.dumps(value)}," for name, value in BROWSER.items())
    return f"""
local tokens, requests, turn = {{{",".join(json.dumps(token) for token in tokens)}}}, {{}}, 0
function init()
  for number, token in ipairs(tokens) do
    wrk.headers = {{{headers}["Cookie"]="{TOKEN_COOKIE}=" .. token}}
    requests[number] = wrk.format("GET", "{PATH}")
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[AuditWriter]:
    writer = open_writer(tmp_path)
    yield writer
    writer.close()


def test_append(benchmark: BenchmarkFixture, audit: AuditWriter) -> None:
    """A record of a known visitor whose fields resemble an earlier one: seal, chain, write."""
    fields = encode_fields(FIELDS)

    benchmark(audit.append_encoded, fields, Person(SUBJECT, tuple(PERSON.items())))


def test_append_unlike_any_other(benchmark: BenchmarkFixture, audit: AuditWriter) -> None:
    """A record whose fields are encoded anew."""
    benchmark(audit.append, FIELDS, subject=SUBJECT, person=PERSON)


def test_append_for_a_new_visitor(benchmark: BenchmarkFixture, audit: AuditWriter) -> None:
    """A record that needs a new visitor key."""
    subjects = iter(range(10**9))

    benchmark(lambda: audit.append(FIELDS, subject=f"{next(subjects):064x}", person=PERSON))


def test_verify_ten_thousand(benchmark: BenchmarkFixture, audit: AuditWriter, tmp_path: Path) -> None:
    """Chain, seals and order of 10,000 records."""
    for _ in range(10_000):
        audit.append(FIELDS)
    provider = LocalKeyring(tmp_path / "keys" / "keyring.json")

    report = benchmark.pedantic(verify, (tmp_path / "audit", provider), rounds=3)

    assert (report.records, report.problem) == (10_000, None)
