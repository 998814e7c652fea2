"""Requests and their steps, as rows. Every change is inside the caller's transaction.

Trust in these tables: *trusted*: who writes them can call a request done; its pack would still not verify.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from control_plane.dsar.steps import ONE, REQUEST, STEPS, step_of
from control_plane.store.schema import request_answers, request_steps, requests

OPEN, IN_PROGRESS, WAITING = "open", "in_progress", "waiting"
FULFILLED, DENIED, REVOKED = "fulfilled", "denied", "revoked"
ACTIVE = (OPEN, IN_PROGRESS, WAITING)
DONE = "done"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Times are Unix seconds. `confirmed_at`: from when on it may be worked on.

    handle, subject: who asks, as the proof store finds and seals them. wish: what is to be changed. trouble: the code
    of what keeps it from going on, "" if nothing does. record: as it was put into the ledger last.
    """

    id: str
    kind: str
    state: str
    reason: str
    jurisdiction: str
    received_at: int
    confirmed_at: int
    due_at: int
    binding: str
    verified_by: str
    verifier: str
    handle: str
    subject: bytes
    pseudonym: str
    wish: Mapping[str, Any]
    public_key: bytes
    held_by: str = ""
    trouble: str = ""
    record: bytes | None = None
    closed_at: int | None = None
    evidence_sha256: str = ""
    amended: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step by one party. `result`: what shows that it is done, or how far it is."""

    request: str
    step: str
    party: str
    state: str
    result: Mapping[str, Any]
    since: int
    done_at: int | None

    @property
    def done(self) -> bool:
        """Whether nothing is left of it."""
        return self.state == DONE


def add(connection: Connection, request: Request, now: int) -> None:
    """A new request with the steps that it does itself; those of parties are planned when it comes to them."""
    connection.execute(insert(requests).values(_row(request)))
    alone = [step.name for step in STEPS[request.kind] if step.party == ONE]
    plan(connection, request.id, [(name, REQUEST) for name in alone], now)


def plan(connection: Connection, request: str, steps: Sequence[tuple[str, str]], now: int) -> None:
    """Owe these (step, party); those that are planned already stay as they are."""
    there = {(row.step, row.party) for row in steps_of(connection, request)}
    new = [pair for pair in steps if pair not in there]
    common = {"request": request, "state": OPEN, "result": "{}", "since": now, "done_at": None}
    if new:
        connection.execute(insert(request_steps), [{**common, "step": step, "party": party} for step, party in new])


def change(connection: Connection, request: str, **values: Any) -> None:
    """Set columns of a request."""
    for name in {"wish", "amended"} & values.keys():
        values[name] = json.dumps(values[name])
    connection.execute(update(requests).where(requests.c.id == request).values(values))


def note(connection: Connection, row: StepRow, result: Mapping[str, Any]) -> None:
    """Keep how far a step is, without calling it done."""
    connection.execute(_of(row).values(result=json.dumps(dict(result))))


def finish(connection: Connection, row: StepRow, result: Mapping[str, Any], now: int) -> None:
    """A step is done, and this shows it."""
    connection.execute(_of(row).values(state=DONE, result=json.dumps(dict(result)), done_at=now))


def find(connection: Connection, request: str, *, lock: bool = False) -> Request | None:
    """The request of that id."""
    query = select(requests).where(requests.c.id == request)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _request(row)


def of_person(connection: Connection, handle: str) -> list[Request]:
    """Everything that one person asked, oldest first."""
    query = select(requests).where(requests.c.handle == handle).order_by(requests.c.received_at, requests.c.id)
    return [_request(row) for row in connection.execute(query)]


def all_of(connection: Connection, states: Sequence[str] | None = None) -> list[Request]:
    """Requests in these states, oldest first."""
    query = select(requests).order_by(requests.c.received_at, requests.c.id)
    if states is not None:
        query = query.where(requests.c.state.in_(states))
    return [_request(row) for row in connection.execute(query)]


def steps_of(connection: Connection, request: str) -> list[StepRow]:
    """The steps of a request, in the order of its table, then by party."""
    found = connection.execute(select(request_steps).where(request_steps.c.request == request))
    rows = [StepRow(**{**row._mapping, "result": json.loads(row.result)}) for row in found]
    kind = connection.scalar(select(requests.c.kind).where(requests.c.id == request))
    order = {step.name: number for number, step in enumerate(STEPS[kind])} if kind else {}
    return sorted(rows, key=lambda row: (order.get(row.step, 99), row.party))


def due(request: Request, rows: Sequence[StepRow]) -> list[StepRow]:
    """The open rows whose earlier steps are all done."""
    undone = {row.step for row in rows if not row.done}
    planned = {row.step for row in rows}
    return [
        row
        for row in rows
        if not row.done
        and all(before in planned and before not in undone for before in step_of(request.kind, row.step).after)
    ]


def keep_answer(connection: Connection, request: str, what: str, sealed: bytes, now: int) -> None:
    """Keep something for the asker; kept again it replaces what was there."""
    mine = (request_answers.c.request == request) & (request_answers.c.what == what)
    connection.execute(delete(request_answers).where(mine))
    connection.execute(insert(request_answers).values(request=request, what=what, sealed=sealed, at=now))


def answers_of(connection: Connection, request: str) -> dict[str, bytes]:
    """What is kept for the asker, by name."""
    query = select(request_answers.c.what, request_answers.c.sealed).where(request_answers.c.request == request)
    return {row.what: row.sealed for row in connection.execute(query)}


def drop_answers(connection: Connection, before: int) -> int:
    """Delete what has been fetched or not for long enough."""
    return connection.execute(delete(request_answers).where(request_answers.c.at <= before)).rowcount


def _of(row: StepRow) -> Any:
    mine = request_steps.c
    return update(request_steps).where(
        mine.request == row.request, mine.step == row.step, mine.party == row.party, mine.state == OPEN
    )


def _row(request: Request) -> dict[str, Any]:
    values = {field.name: getattr(request, field.name) for field in fields(Request)}
    return {**values, "wish": json.dumps(dict(request.wish)), "amended": json.dumps(list(request.amended))}


def _request(row: Row[Any]) -> Request:
    values = dict(row._mapping)
    return Request(**{**values, "wish": json.loads(values["wish"]), "amended": tuple(json.loads(values["amended"]))})
