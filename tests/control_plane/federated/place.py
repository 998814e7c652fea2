"""A place that learns, as far as it can be seen from outside: an SVID, a budget ledger, one update a week."""

from dataclasses import replace

import numpy as np

from consent_core.formats.update import Update, write_update
from consent_core.privacy.ledger import Lines, spend
from consent_core.privacy.weeks import WEEK_S, later, monday_of, week_of
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa
from consent_core.trust.svid_key import SvidKey, SvidSigner
from control_plane.app import ControlPlane
from control_plane.federated.rounds import find


class Place:
    """`name` of a plane's deployment. `lines`: its own ledger."""

    def __init__(self, plane: ControlPlane, name: str = "tokyo-1") -> None:
        clock = plane.settings.clock
        self.plane, self.name, self.lines = plane, name, Lines()
        self.spiffe_id = SpiffeId.of("ui-tools", "edge", name)
        self.svid = DevelopmentCa.open(plane.settings.data, "ui-tools", create=True, clock=clock).issue(self.spiffe_id)
        self.signer, self.key = SvidSigner.of(self.svid), SvidKey.of(self.svid.leaf)

    def update(self, week: str) -> Update:
        """This week's manifest, as an honest place writes it."""
        with self.plane.database.read() as connection:
            found = find(connection, week)
        assert found is not None
        self.lines = spend(self.lines, week, found.terms.mechanism)
        return Update(
            models=found.terms.models,
            pop=self.name,
            week=week,
            base=found.base,
            mechanism=found.terms.mechanism_stated,
            guarantee=found.terms.guarantee_stated,
            policy=found.policy,
            ledger=self.lines[-6:],
            spiffe_id=str(self.spiffe_id),
        )

    def body(self, week: str, seed: int = 0, **changes: object) -> bytes:
        """The bytes it sends."""
        return self.written(replace(self.update(week), **changes), numbers(seed))  # type: ignore[arg-type]

    def written(self, update: Update, y: np.ndarray) -> bytes:
        return write_update(update, y, self.signer)

    def send(self, body: bytes):
        return self.plane.federated.intake.take(self.spiffe_id, self.key, body)


def numbers(seed: int = 0, length: int = 4128) -> np.ndarray:
    """What noise of the mechanism looks like."""
    return np.rint(np.random.default_rng(seed).normal(0, 8725, length)).astype(np.int64)


def begin_week(plane: ControlPlane) -> str:
    """Monday 01:00 of a week whose round is open."""
    clock = plane.settings.clock
    clock.wall = monday_of(later(week_of(clock.now()), 1)) + 3600
    plane.federated.rounds.tick()
    return week_of(clock.now())


def end_week(plane: ControlPlane, hours: float = 3) -> None:
    """So many hours after the running week; its successor is open too."""
    clock = plane.settings.clock
    clock.wall = monday_of(week_of(clock.now())) + WEEK_S + hours * 3600
    plane.federated.rounds.tick()
