"""Carries requests on, step by step, also after a process died in between.

    machine.look()      # once a second while something is open; a kill at any line loses nothing and doubles nothing

A step's effect comes first, its mark after it: killed in between it is done again, and every effect counts once. What
fails keeps its code on the request and is tried again at the next look; other requests go on.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Rejected
from control_plane.dsar import store
from control_plane.dsar.csv_file import RequestList
from control_plane.dsar.doing import Doing
from control_plane.dsar.steps import ONE, STEPS, Step
from control_plane.dsar.store import Request, StepRow

_LOG = logging.getLogger(__name__)
REPLANNED = ("erased",)  # a place that joins meanwhile reads the purge, too
NO_MATCH = "no_match"  # the Data Rights Protocol's word


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of one deployment. `on_closed`: told kind and seconds of each request that is fulfilled."""

    doing: Doing
    listed: RequestList
    on_closed: list[Callable[[str, float], None]] = field(default_factory=list)

    def look(self) -> int:
        """Carry every open request as far as it goes; how many steps were done."""
        with self.doing.database.read() as connection:
            active = store.all_of(connection, store.ACTIVE)
        ready = [request for request in active if request.confirmed_at <= self.doing.clock.now()]
        done = sum(self._carry(request) for request in ready)
        if done:
            self.listed.write()
        return done

    def _carry(self, request: Request) -> int:
        total = 0
        while moved := sum(self._try(request, row) for row in store.due(request, self._planned(request))):
            total += moved
        return total

    def _planned(self, request: Request) -> list[StepRow]:
        """The rows, with those of parties whose turn has come."""
        with self.doing.database.write() as connection:
            rows = store.steps_of(connection, request.id)
            for step in STEPS[request.kind]:
                if step.party != ONE and _is_due(step, rows):
                    parties = self.doing.parties(connection, request, step.name)
                    store.plan(
                        connection, request.id, [(step.name, party) for party in parties], self.doing.clock.now()
                    )
            return store.steps_of(connection, request.id)

    def _try(self, request: Request, row: StepRow) -> bool:
        """Whether the step is done now."""
        current = self._current(request.id)
        if current is None:
            return False
        try:
            result = self.doing.do(current, row)
        except Rejected as error:
            return self._deny(current, error)
        except ConsentEdgeError as error:
            self._note(current, error.code)
            _LOG.warning("request %s: %s of %s: %s: %s", request.id, row.step, row.party, error.code, error)
            return False
        if result is None:
            return False
        crash_point(f"dsar-{row.step}-done")
        with self.doing.database.write() as connection:
            store.finish(connection, row, result, self.doing.clock.now())
            whole = self._settle(current, store.steps_of(connection, request.id), connection)
        crash_point(f"dsar-{row.step}-marked")
        for told in self.on_closed if whole else ():
            told(request.kind, self.doing.clock.now() - request.confirmed_at)
        return True

    def _settle(self, request: Request, rows: list[StepRow], connection: Connection) -> bool:
        """Whether it is fulfilled: when every step of the kind has rows and each is done."""
        planned, undone = {row.step for row in rows}, [row for row in rows if not row.done]
        whole = not undone and planned == {step.name for step in STEPS[request.kind]}
        state = store.FULFILLED if whole else store.IN_PROGRESS
        closed_at = self.doing.clock.now() if whole else None
        store.change(connection, request.id, state=state, trouble="", closed_at=closed_at)
        return whole

    def _current(self, request: str) -> Request | None:
        """The request as it is now; None if it was cancelled meanwhile."""
        with self.doing.database.read() as connection:
            found = store.find(connection, request)
        return found if found is not None and found.state in store.ACTIVE else None

    def _deny(self, request: Request, error: Rejected) -> bool:
        """Who asked is not known here (any more): nothing can be done for them."""
        if error.code != "visitor-unknown":
            self._note(request, error.code)
            return False
        with self.doing.database.write() as connection:
            now = self.doing.clock.now()
            store.change(connection, request.id, state=store.DENIED, reason=NO_MATCH, closed_at=now)
        return False

    def _note(self, request: Request, code: str) -> None:
        if request.trouble != code:
            with self.doing.database.write() as connection:
                store.change(connection, request.id, trouble=code)


def _is_due(step: Step, rows: list[StepRow]) -> bool:
    there, undone = {row.step for row in rows}, {row.step for row in rows if not row.done}
    reached = all(before in there and before not in undone for before in step.after)
    return reached and (step.name not in there or step.name in REPLANNED)
