"""How soon a burst of withdrawals reaches the log: 10,000 queued at one POP with 80 ms to the control plane.

The control plane is the real one, on SQLite: each row is a version, a receipt, a log entry, two leaves and what opens
them. It shares one interpreter with the POP here, so that `cpu_s` is what both of them take together.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_urlsafe

import httpx
from pytest_benchmark.fixture import BenchmarkFixture

from consent_core.clock import SystemClock
from consent_core.formats.consent import ConsentRequest
from consent_core.formats.session import credentials_of, stored, write_secret
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES
from control_plane.app import ControlPlane, create_app
from control_plane.settings import Settings
from runtime_host.pop.stores import PopStore, Withdrawal
from runtime_host.pop.sync.fetch import ControlPlane as Plane
from runtime_host.pop.sync.forwarder import Forwarder

MANY = 10_000
VISITORS = 200
ROUND_TRIP_S = 0.08


class Far(httpx.AsyncBaseTransport):
    """The control plane, a round trip away. It works on one request at a time, as its database does."""

    def __init__(self, plane: ControlPlane) -> None:
        self._inner = httpx.ASGITransport(plane.mesh_app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(ROUND_TRIP_S)
        return await self._inner.handle_async_request(request)


def visitors(plane: ControlPlane) -> list[tuple[str, str]]:
    """Withdraw-only credential and subject of people who said yes."""
    made = []
    for number in range(VISITORS):
        own = credentials_of(write_secret(number.to_bytes(32, "big")).encode())
        answer = plane.consents.grant(
            ConsentRequest(None, stored(own.grant), stored(own.withdraw), token_urlsafe(16), CATEGORIES, "EU", False,
                           "adult", "tokyo-1")
        )  # fmt: skip
        made.append((own.withdraw, subject_of(answer.sub)))
    return made


def queued(directory: Path) -> tuple[Forwarder, Callable[[], int]]:
    clock = SystemClock()
    plane = create_app(Settings(data=directory / "plane", clock=clock))
    people, store = visitors(plane), PopStore(directory / "pop.db", clock)
    with store.database.transaction():
        for number in range(MANY):
            withdraw, subject = people[number % VISITORS]
            category = (CATEGORIES[number % len(CATEGORIES)],)
            store.outbox.add(Withdrawal(token_urlsafe(16), withdraw, subject, 1, category, number // VISITORS + 2))
    client = httpx.AsyncClient(transport=Far(plane), base_url="http://control-plane")
    return Forwarder("tokyo-1", store, Plane(client, 120.0)), plane.log.head


def test_ten_thousand_withdrawals(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    forwarder, head = queued(tmp_path)
    before = head()
    cpu = time.process_time()
    sent = benchmark.pedantic(lambda: asyncio.run(forwarder.forward()), rounds=1)
    benchmark.extra_info["cpu_s"] = time.process_time() - cpu

    assert sent == MANY
    assert head() - before >= MANY
