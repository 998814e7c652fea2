"""Durable work for other rooms. A row is put in the transaction that causes it, and done once.

Topics: `retrain` (a visitor's behavioural history was revoked: releases that may have learnt from it are affected).
No release learns from visitors yet, so nothing consumes `retrain`: a row goes with its visitor, or after a month.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from control_plane.store.schema import queue

RETRAIN = "retrain"
KEPT_S = 30 * 86_400

_FIND = select(queue.c.key).where(
    queue.c.topic == bindparam("topic"), queue.c.key.in_(bindparam("keys", expanding=True))
)
_ADD = insert(queue)


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work. `at`: Unix seconds when it was put."""

    id: int
    topic: str
    key: str
    body: Mapping[str, Any]
    at: int


def put(connection: Connection, topic: str, jobs: Mapping[str, Mapping[str, Any]], at: int) -> None:
    """Queue work by key; a key again changes nothing. The caller holds the lock that makes the keys its own."""
    if not jobs:
        return
    there = set(connection.scalars(_FIND, {"topic": topic, "keys": list(jobs)}))
    new = [{"topic": topic, "key": k, "body": json.dumps(body), "at": at} for k, body in jobs.items() if k not in there]
    if new:
        connection.execute(_ADD, new)


def forget(connection: Connection, subject: str) -> int:
    """Delete every row about a visitor, done or not; how many there were."""
    return connection.execute(delete(queue).where(queue.c.body.contains(subject, autoescape=True))).rowcount


def count(connection: Connection, subject: str) -> int:
    """How many rows are about a visitor."""
    mine = select(func.count()).select_from(queue).where(queue.c.body.contains(subject, autoescape=True))
    return int(connection.scalar(mine) or 0)


def sweep(connection: Connection, now: int) -> int:
    """Delete what was done a month ago, and what no job reads: see `RETRAIN`."""
    old = now - KEPT_S
    unread = (queue.c.topic == RETRAIN) & (queue.c.at <= old)
    return connection.execute(delete(queue).where((queue.c.done_at <= old) | unread)).rowcount


def waiting(connection: Connection, topic: str, limit: int = 100) -> tuple[Job, ...]:
    """Open work, oldest first."""
    mine = select(queue).where(queue.c.topic == topic, queue.c.done_at.is_(None)).order_by(queue.c.id).limit(limit)
    rows = connection.execute(mine)
    return tuple(Job(row.id, row.topic, row.key, json.loads(row.body), row.at) for row in rows)


def done(connection: Connection, job: Job, at: int) -> None:
    """Mark work as done."""
    connection.execute(update(queue).where(queue.c.id == job.id).values(done_at=at))
