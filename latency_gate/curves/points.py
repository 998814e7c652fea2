"""One point of one curve: `python -m latency_gate.curves.points CURVE SIZE DIR` prints it as JSON.

The real parts, without sockets: a control plane and a POP's stores on the disk, the catalogue as a POP loads it. What
a step needs to exist first is made in bulk and is not timed. `held_mib`: resident memory that came with the load.
"""

import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import insert, select

from consent_core.clock import SystemClock
from consent_core.formats.consent import ConsentRequest
from consent_core.formats.revocation import EFFECTS, GENESIS, Entry, Point, entry_hash, subject_of
from consent_core.formats.session import credentials_of, stored, write_secret
from consent_core.formats.status import PopStatus
from consent_core.formats.token import encode_base64url
from control_plane.api.edge_state import EdgeStates
from control_plane.app import ControlPlane, create_app
from control_plane.log.log import Draft
from control_plane.settings import Settings
from control_plane.store import schema
from latency_gate.curves import catalogues
from latency_gate.curves.stopwatch import Held, seconds_of, timed
from runtime_host.pop.stores import PopStore

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One point. `us`: median microseconds by step; `held_mib`: memory that the load brought."""

    curve: str
    size: int
    us: dict[str, float]
    held_mib: float


def main(curve: str, size: int, place: Path) -> Measured:
    """Measure."""
    place.mkdir(parents=True)
    return Measured(curve, size, *CURVES[curve](size, place))


def subject(number: int) -> str:
    """The subject of visitor `number`."""
    return subject_of(encode_base64url(number.to_bytes(16, "big")))


def entries(count: int) -> Iterator[list[Entry]]:
    """Withdrawals of so many visitors, chained as the log chains them, in batches."""
    now, last = SystemClock().now(), Point(0, GENESIS)
    for first in range(0, count, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, count)):
            said = ("session", subject(number), ("behavioral",), 2, 0, now, EFFECTS["session"])
            batch.append(Entry(last.number + 1, last.chain, encode_base64url(number.to_bytes(16, "big")), *said))
            last = Point(batch[-1].seq, entry_hash(batch[-1]))
        yield batch


@contextmanager
def control_plane(place: Path) -> Iterator[ControlPlane]:
    """A control plane on a new store."""
    plane = create_app(Settings(data=place))
    yield plane
    plane.close()


# The curves: what each step costs, and what is held.


def denials(size: int, place: Path) -> tuple[dict[str, float], float]:
    """A POP that follows a log of so many withdrawals: asking for one, adding one, and starting with all."""
    held, store, head = Held(), PopStore(place / "pop.db", SystemClock()), Point(0, GENESIS)
    for batch in entries(size):
        head = Point(batch[-1].seq, entry_hash(batch[-1]))
        store.apply(batch, "o" * 22, head, head, batch[-1].at)
    mib = held.mib()

    def add(number: int) -> None:
        nonlocal head
        named = ("session", subject(size + number), ("behavioral",), 2, 0, SystemClock().now(), EFFECTS["session"])
        entry = Entry(head.number + 1, head.chain, secrets.token_urlsafe(16), *named)
        head = Point(entry.seq, entry_hash(entry))
        store.apply([entry], "o" * 22, head, head, entry.at)

    lookup = timed(lambda number: [store.revocations.denied(subject(n), 1) for n in range(number, number + 100)])
    adding = timed(add)
    store.close()
    start = seconds_of(lambda: PopStore(place / "pop.db", SystemClock()))
    return {"100 tokens asked for": lookup, "an entry applied": adding, "a start": start}, mib


def log(size: int, place: Path) -> tuple[dict[str, float], float]:
    """A control plane whose log has so many entries: adding one, a poll at its end, the state for portable edges."""
    with control_plane(place) as plane:
        for first in range(0, size, BATCH):
            _append(plane, range(first, min(first + BATCH, size)))
        held, last = Held(), plane.log.head()
        adding = timed(lambda number: _append(plane, range(size + number, size + number + 1)))
        polling = timed(lambda _: plane.log.reply(plane.log.head() - 1, "n" * 22))
        page = timed(lambda _: plane.log.reply(max(0, last - BATCH), "n" * 22), 5)
        states = EdgeStates(plane.log, plane.policies, plane.keys, SystemClock())
        state = timed(lambda _: states.state(), 3)
    steps = {"an entry added": adding, "a poll": polling, "a poll of 1,000 entries": page, "the edge state": state}
    return steps, held.mib()


def _append(plane: ControlPlane, numbers: range) -> None:
    with plane.log.writing() as writing:
        writing.append_all([Draft("session", subject(number), ("behavioral",), 2) for number in numbers])


def visitors(size: int, place: Path) -> tuple[dict[str, float], float]:
    """A control plane that knows so many visitors: a first yes, and the look of one who is known."""
    with control_plane(place) as plane:
        first = write_secret(secrets.token_bytes(32))
        plane.consents.grant(_request(first))
        _copy_visitor(plane, size)
        held = Held()
        granting = timed(lambda _: plane.consents.grant(_request(write_secret(secrets.token_bytes(32)))))
        looking = timed(lambda _: plane.consents.look(None, credentials_of(first.encode()).grant))
    return {"a first yes": granting, "a look at the record": looking}, held.mib()


def _request(secret: str) -> ConsentRequest:
    made = credentials_of(secret.encode())
    key = secrets.token_urlsafe(16)
    return ConsentRequest(
        None, stored(made.grant), stored(made.withdraw), key, ("contextual",), "EU", False, "adult", "tokyo-1"
    )


def _copy_visitor(plane: ControlPlane, size: int) -> None:
    """The one visitor's rows again and again, under other names."""
    tables = (schema.visitors, schema.records, schema.sessions)
    with plane.database.read() as connection:
        rows = {table.name: dict(connection.execute(select(table)).mappings().one()) for table in tables}
    for first in range(0, size, BATCH):
        numbers = range(first, min(first + BATCH, size))
        with plane.database.write() as connection:
            for table in tables:
                connection.execute(insert(table), [{**rows[table.name], **_named(table.name, n)} for n in numbers])


def _named(table: str, number: int) -> dict[str, str]:
    sub = encode_base64url(number.to_bytes(16, "big"))
    if table == "visitors":
        return {"sub": sub, "subject": subject_of(sub), "record_id": sub}
    return {"sub": sub} if table == "records" else {"sub": sub, "session": f"{number:064x}", "withdraw": f"{number:x}"}


def pops(size: int, place: Path) -> tuple[dict[str, float], float]:
    """A control plane that so many POPs follow: one withdrawal with the poll of each, and a report of each."""
    with control_plane(place) as plane:
        held, policy = Held(), plane.policies.bundle().hash

        def fan_out(number: int) -> None:
            _append(plane, range(number, number + 1))
            for _ in range(size):
                plane.log.reply(plane.log.head() - 1, "n" * 22)

        def report(_: int) -> None:
            for number in range(size):
                plane.pops.report(f"pop-{number}", PopStatus(policy, 1))

        return {"a withdrawal polled by all": timed(fan_out, 5), "a report of each": timed(report, 3)}, held.mib()


Steps = tuple[dict[str, float], float]
CURVES: dict[str, Callable[[int, Path], Steps]] = {
    "slots": catalogues.slots,
    "assets": catalogues.assets,
    "denials": denials,
    "visitors": visitors,
    "log": log,
    "pops": pops,
}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))) + "\n")
