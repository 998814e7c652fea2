"""What the audit trail costs: a POP's hot path with and without it in one run, and its own operations.

`wrk` loads two POPs in turns, so that a busy machine slows both; each is a process of its own, because the POP that is
made first in a process is the faster one. Budget: at most 10 % of throughput.
"""

import asyncio
import multiprocessing
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/runtime_host/pop"))
sys.path.insert(0, str(Path(__file__).parent))

from edge import TOKEN_COOKIE, make_catalogue, make_edge
from test_pop_http import BROWSER, PATH, rate, settle_memory

from consent_core.audit.verify import verify
from consent_core.audit.visitors import Person
from consent_core.audit.writer import AuditWriter, encode_fields
from consent_core.clock import SystemClock
from consent_core.trust.providers.keyring import LocalKeyring
from runtime_host.pop.process import _server

ROUNDS = 15
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


def serve(directory: Path, audited: bool, ready: Any) -> None:
    """In a process of its own: a POP with or without a trail."""

    async def run() -> None:
        parts = {"audit": open_writer(directory)} if audited else {}
        edge = make_edge(directory / "pop", make_catalogue(directory / "art"), parts=parts)
        await edge.sync()
        server = _server(edge.pop.public_app, "127.0.0.1", 0)
        settle_memory()
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.05)
        ready.send((server.servers[0].sockets[0].getsockname()[1], edge.token("contextual")))
        await running

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[int, str]]]:
    """Port and token of the POP without a trail, and of the one with it."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for audited in (False, True):
        ours, theirs = context.Pipe()
        processes.append(
            context.Process(target=serve, args=(tmp_path_factory.mktemp("pop"), audited, theirs), daemon=True)
        )
        processes[-1].start()
        pipes.append(ours)
    yield [pipe.recv() for pipe in pipes]
    for process in processes:
        process.terminate()
        process.join()


def test_audited_hot_image_over_http(benchmark: BenchmarkFixture, listening: list[tuple[int, str]]) -> None:
    """`extra_info.ratio`: median over rounds of the audited POP's rate to the other's."""
    rounds: list[tuple[float, ...]] = []

    def one_round() -> None:
        rounds.append(tuple(_rate(port, token) for port, token in listening))

    one_round()  # warm
    rounds.clear()
    benchmark.pedantic(one_round, rounds=ROUNDS)
    benchmark.extra_info["ratio"] = statistics.median(audited / plain for plain, audited in rounds)
    benchmark.extra_info["requests_per_s"] = statistics.median(audited for _, audited in rounds)


def _rate(port: int, token: str) -> float:
    headers = [f"{name}: {value}" for name, value in BROWSER.items()]
    return rate(f"http://127.0.0.1:{port}{PATH}", *headers, f"Cookie: {TOKEN_COOKIE}={token}")


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
