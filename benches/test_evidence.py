"""What evidence costs: an evidence file read by a stranger, and the hot path of a POP that attests.

One POP, loaded by `wrk` all the while, attests in every other tenth of a second, as in `test_audit.py`.
"""

import asyncio
import random
import statistics
import time
from pathlib import Path
from typing import Any

import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from benches.test_audit import PAIRS, SETTLE_S, TURN_S, WARM, rates_under_load
from benches.test_pop_http import settle_memory
from consent_core.clock import SystemClock
from consent_core.evidence.opening import Circumstances
from consent_core.evidence.verdict import judge
from consent_core.formats.attestation import PolicyInForce
from consent_core.formats.attester import Known
from runtime_host.pop.evidence.attesting import Attester, State
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.pop.process.listeners import _server
from runtime_host.pop.stores import PopStore
from tests.consent_core.evidence.world import World
from tests.runtime_host.pop.edge import make_catalogue, make_edge

POPS = tuple(f"edge/pop-{number:02}" for number in range(9))
EVERY_S = 1  # between two attestations, of which a POP makes one a minute
SPIFFE_ID = "spiffe://ui-tools/edge/tokyo-1"


def test_pack_of_ten_pops(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Yes, no and erasure at ten POPs and a control plane: every signature, proof and check."""
    world = World(tmp_path, places=("control-plane/main", *POPS, "edge/tokyo-1"))
    data = world.play().sealed(world.pack())
    given = Circumstances(world.now + 60, world.receipts[-1], world.closing(data))
    trust = world.trust.to_bytes()

    verdict = benchmark(judge, data, trust, given)

    assert verdict.answered
    assert len(verdict.documents) > 60


def serve(directory: Path, pipe: Any) -> None:
    """In a process of its own: a POP that tells its rates without and with attesting."""

    async def run() -> None:
        edge = make_edge(directory / "pop", make_catalogue(directory / "art"))
        await edge.sync()
        attester = _attester(directory)
        server = _server(edge.pop.public_app, "127.0.0.1", 0)
        settle_memory()
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.05)
        pipe.send((server.servers[0].sockets[0].getsockname()[1], [edge.token("contextual")]))
        while server.server_state.total_requests < WARM:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        pipe.send([await compare(attester, server.server_state) for _ in range(PAIRS)])
        await running

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _attester(directory: Path) -> Attester:
    store = PopStore(directory / "attesting.db", SystemClock())
    policy = PolicyInForce("sha256:" + "a" * 64, 1, 0)
    state = State(policy, True, {"personalization": "sha256:" + "b" * 64}, {}, {"tokyo-1": f"1:{'c' * 64}"})
    attester = Attester(SPIFFE_ID, AttesterKey.open(directory), store, SystemClock(), lambda: state, EVERY_S)
    attester.agree(Known())
    return attester


async def compare(attester: Attester, state: Any) -> tuple[float, float]:
    """Requests per second without and with a look, and what is due by it."""
    rates = [0.0, 0.0]
    for attesting in random.sample((False, True), 2):
        await asyncio.sleep(SETTLE_S)
        before, started = state.total_requests, time.perf_counter()
        due = attester.look() if attesting else None
        if due is not None:
            attester.attest(due)
        await asyncio.sleep(TURN_S)
        rates[attesting] = (state.total_requests - before) / (time.perf_counter() - started)
    return rates[0], rates[1]


def test_hot_image_while_attesting(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """`extra_info.ratio`: median over pairs of the rate with attesting to the rate without."""
    pairs = rates_under_load(benchmark, tmp_path, serve)
    benchmark.extra_info["ratio"] = statistics.median(attesting / plain for plain, attesting in pairs)
