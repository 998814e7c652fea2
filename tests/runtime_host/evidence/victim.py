"""A POP that attests, for `test_crash.py`: against a control plane that remembers in a file what it was sent.

CONSENT_EDGE_CRASH=attested python -m tests.runtime_host.evidence.victim DIRECTORY
"""

import asyncio
import json
import sys
from pathlib import Path

from consent_core.clock import ManualClock
from consent_core.formats.attestation import PolicyInForce
from consent_core.formats.attester import IntakeAnswer, Known, read_lines, write_intake
from consent_core.formats.revocation import Entry, Point
from runtime_host.pop.evidence.attesting import Attester, State
from runtime_host.pop.evidence.deleting import Deleter
from runtime_host.pop.evidence.key import AttesterKey
from runtime_host.pop.evidence.sending import Sending
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.erasures import Erased
from runtime_host.pop.sync.fetch import Reply

ID = "spiffe://ui-tools/edge/tokyo-1"
HASH = "sha256:" + "0" * 64
STATE = State(PolicyInForce(HASH, 1, 0), True, {}, {}, {"tokyo-1": "0:" + "0" * 64})
PURGE = Entry(1, HASH, "A" * 22, "purge", "e9" * 32, ("behavioral",), 9, 0, 1_800_000_000, "erase")


class Remembering:
    """What a control plane has taken, every text once, across its client's deaths."""

    def __init__(self, path):
        self.path = path

    def taken(self):
        return json.loads(self.path.read_text()) if self.path.exists() else []

    async def send(self, _method, _path, body):
        lines, taken = [line.text for line in read_lines(body)], self.taken()
        self.path.write_text(json.dumps(taken + [text for text in lines if text not in taken]))
        return Reply(200, None, write_intake(IntakeAnswer(len(lines), Known())))


def opened(directory):
    clock = ManualClock()
    return PopStore(directory / "pop.db", clock), clock, Remembering(directory / "taken.json")


async def live(directory):
    store, clock, plane = opened(directory)
    attester = Attester(ID, AttesterKey.open(directory), store, clock, lambda: STATE, 60)
    attester.agree(Known())
    place = Point(1, HASH)
    if store.log.position.position == 0:
        attester.attest("start")
        store.apply([PURGE], "A" * 22, place, place, clock.now())
    if not store.database.rows("SELECT 1 FROM queue WHERE topic='purge-receipt'"):
        store.attest(Erased(1, PURGE.subject, {"history": 0}, {}))
    clock.advance(60)
    attester.attest("interval")
    Deleter(attester, store, clock).state()
    await Sending(attester, store, plane, directory).send()
    store.close()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))
