"""A POP process for `test_crash.py`: does everything once, against a toy control plane that remembers in files.

CONSENT_EDGE_CRASH=log-committed python victim.py DIRECTORY
"""

import asyncio
import sys
from pathlib import Path

import httpx

from consent_core.clock import ManualClock
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import KeyStore
from runtime_host.pop.stores import PopStore, Withdrawal
from tests.runtime_host.sync.toy_plane import VISITOR, Network, ToyPlane, make_sync

OTHER = "b" * 64
NO = Withdrawal("k" * 22, "0" * 43, VISITOR, 4, ("behavioral",))


class RememberingPlane(ToyPlane):
    """Counts a withdrawal, and accepts a receipt, as a control plane with a disk does: across its clients' deaths."""

    def lookup(self, directory: Path) -> None:
        self.publish(1)
        self.revoke(subject="c" * 64, ver=2)
        self.log("purge", OTHER, CATEGORIES, 9)
        self.log("key", "token-old")
        self.notes = directory / "withdrawals.txt"
        for key in sorted(set(self.notes.read_text().split())) if self.notes.exists() else ():
            self.withdrawals[key] = "0" * 43
            self.revoke(ver=4, categories=("behavioral",))

    def _withdraw(self, request: httpx.Request) -> httpx.Response:
        response = super()._withdraw(request)
        with self.notes.open("a") as notes:
            notes.writelines(f"{key}\n" for key in self.withdrawals)
        return response


def open_plane(directory: Path) -> tuple[RememberingPlane, ManualClock]:
    clock = ManualClock()
    plane = RememberingPlane(KeyStore.open(directory, create=True, clock=clock), clock)
    plane.lookup(directory)
    return plane, clock


async def live(directory: Path) -> None:
    plane, clock = open_plane(directory)
    home = directory / "pop"
    with PopStore(home / "pop.db", clock) as store:
        sync = make_sync(home, store, plane, Network(plane), clock)
        sync.outgoing.withdraw(NO)
        await sync.fetch_policy()
        await sync.poll()
        await sync.outgoing.forward()
        await sync.poll()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))
