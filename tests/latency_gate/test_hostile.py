"""Hostile traffic beside honest: what the rows say, and what an attack does to a listener."""

import asyncio
from dataclasses import replace

import pytest

from latency_gate.hostile.attacks import ATTACKS, Target, attack
from latency_gate.hostile.suite import BACK_MIB, LEAST_ANSWERS, LEAST_MS, Outcome, judge, p99
from latency_gate.judge import BROKEN, OK, OVER

GOOD = Outcome("trailers", 10.0, 19.0, 1_000, 0, 3.0)


def statuses(**changes):
    return [row.status for row in judge([replace(GOOD, **changes)])]


def test_within_twice_and_back_is_green():
    """Two rows for each attack."""
    assert statuses() == [OK, OK]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"beside_ms": 20.1}, [OVER, OK]),
        ({"kept_mib": BACK_MIB + 0.1}, [OK, OVER]),
        ({"kept_mib": -40.0}, [OK, OK]),
        ({"answers": LEAST_ANSWERS - 1}, [BROKEN, OK]),
        ({"bad": 1}, [BROKEN, OK]),
        ({"answers": 0, "beside_ms": float("inf")}, [BROKEN, OK]),
        ({"alone_ms": 0.5, "beside_ms": 2 * LEAST_MS}, [OK, OK]),
        ({"alone_ms": 0.5, "beside_ms": 2 * LEAST_MS + 0.1}, [OVER, OK]),
    ],
)
def test_what_turns_the_gate_red(changes, expected):
    """A slow answer, a bad one, none at all, memory that stays."""
    assert statuses(**changes) == expected


@pytest.mark.parametrize(("waits", "expected"), [([5.0], 5.0), (list(range(1, 101)), 99), (list(range(1, 201)), 198)])
def test_the_ninety_ninth_percentile_is_a_value_that_was_measured(waits, expected):
    """The nearest rank."""
    assert p99(waits) == expected


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_reaches_a_listener_again_and_again(name):
    """The listener answers, or hangs up when it has seen enough."""

    async def scenario():
        seen, enough = [], asyncio.Event()

        async def listen(reader, writer):
            try:
                data = await reader.read(65_536)
                seen.append(data)
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno")
                await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()
            if len(seen) >= 8:
                enough.set()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        attacking = asyncio.create_task(attack(Target(port, "a.b.c"), ATTACKS[name], connections=2))
        await asyncio.wait_for(enough.wait(), 240)
        attacking.cancel()
        await asyncio.gather(attacking, return_exceptions=True)
        server.close()
        return seen

    assert len(asyncio.run(scenario())) >= 8
