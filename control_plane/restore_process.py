"""`edge control-plane restore`: puts the backup in place; the control plane then only collects, until all has come."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from sqlalchemy import select

from control_plane.process import Running, serving
from control_plane.restore.backup import put_back
from control_plane.restore.beginning import begin, waited_for
from control_plane.settings import Settings
from control_plane.store.schema import log_head, restore_pops

LOOK_EVERY_S = 0.1

OnWaiting = Callable[[tuple[str, ...]], None]


@dataclass(frozen=True, slots=True)
class Restore:
    """What an operator asks for. `also`: POPs that joined after the backup; `without`: POPs that are gone."""

    directory: Path
    without: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    approver: str = "operator"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it. `pops`: who was waited for; `left_out`: deliveries that could not be verified, by code."""

    origin: str
    head: int
    pops: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=Counter)


def run(settings: Settings, wanted: Restore, on_waiting: OnWaiting = lambda _: None) -> Restored:
    """Restore, and return when the log may be believed again.

    Killed before that, the store goes on collecting when a control plane is started on it.
    Raises: as `put_back`, `begin`; OSError for a port that is taken: a control plane still runs.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(restore(settings, wanted, on_waiting))


async def restore(settings: Settings, wanted: Restore, on_waiting: OnWaiting) -> Restored:
    """The same inside an event loop."""
    pops = await asyncio.to_thread(_prepare, settings, wanted)
    async with serving(settings) as running:
        while not await asyncio.to_thread(running.plane.collecting.complete):
            on_waiting(await asyncio.to_thread(_waited_for, running))
            await asyncio.sleep(LOOK_EVERY_S)
        return await asyncio.to_thread(_outcome, running, pops)


def _prepare(settings: Settings, wanted: Restore) -> tuple[str, ...]:
    now = settings.clock.now()
    database = put_back(wanted.directory, settings.store_url, now)
    with database.write() as connection:
        begin(connection, also=wanted.also, without=wanted.without, approver=wanted.approver, now=now)
        pops = tuple(connection.scalars(select(restore_pops.c.pop).order_by(restore_pops.c.pop)))
    database.close()
    return pops


def _waited_for(running: Running) -> tuple[str, ...]:
    with running.plane.database.read() as connection:
        return waited_for(connection)


def _outcome(running: Running, pops: tuple[str, ...]) -> Restored:
    with running.plane.database.read() as connection:
        head = connection.execute(select(log_head.c.origin, log_head.c.head)).one()
    return Restored(head.origin, head.head, pops, dict(running.plane.restoring.left_out))
