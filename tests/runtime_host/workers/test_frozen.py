"""Who is silent for too long is ended; who answers, starts, or has a lead that slept is not."""

import asyncio
import signal
import socket
import sys

import pytest

from runtime_host.pop.stores.shared_state import SharedState
from runtime_host.pop.workers.supervisor import FROZEN_AFTER, Supervisor


@pytest.mark.parametrize(
    ("serves", "answers", "looks", "ended"),
    [
        (True, False, FROZEN_AFTER, True),
        (True, False, FROZEN_AFTER - 1, False),
        (True, True, 10 * FROZEN_AFTER, False),
        (False, False, 10 * FROZEN_AFTER, False),
        (True, False, 1, False),  # however long ago the last look was: a lead that slept counts one
    ],
)
def test_a_worker_is_ended_after_three_looks_without_a_word(serves, answers, looks, ended):
    """A stopped process too: SIGKILL needs nothing of it."""

    async def scenario():
        shared_state, (end, other) = SharedState.make(2), socket.socketpair()
        supervisor = Supervisor(shared_state, end, None, -1)
        (worker,) = supervisor._workers
        worker.serves = serves
        worker.process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1)
        worker.process.send_signal(signal.SIGSTOP)
        for _ in range(looks):
            supervisor.end_frozen()
            if answers:
                supervisor._heard(worker, {"kind": "tell"})
        if not ended:
            worker.process.send_signal(signal.SIGTERM)
            worker.process.send_signal(signal.SIGCONT)
        end.close()
        other.close()
        return await asyncio.wait_for(worker.process.wait(), 60)

    assert asyncio.run(scenario()) == (-signal.SIGKILL if ended else -signal.SIGTERM)
