"""Which reasons hold now. Each is in `/readyz`, in a gauge, and in the log once when it begins and once when it ends.

    health = Health("tokyo-1", (store.faults, clock_faults))
    seen = health.look()
    seen.leave, seen.stay          # code -> what exactly is wrong

A look answers what holds at this moment and waits for nothing.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from consent_core.errors import ConsentEdgeError
from consent_core.health.reasons import BY_CODE, REASONS, Kind

LOG = logging.getLogger("consent_edge.health")

Faults = Mapping[str, str]  # code of a reason -> what exactly, without anything about people
Look = Callable[[], Faults]


@dataclass(frozen=True, slots=True)
class Seen:
    """The faults of one moment."""

    faults: Faults = field(default_factory=dict)

    @property
    def leave(self) -> dict[str, str]:
        """Those that a readiness probe fails on."""
        return self._of(Kind.LEAVE)

    @property
    def stay(self) -> dict[str, str]:
        """Those that only alarm."""
        return self._of(Kind.STAY)

    def gauges(self) -> dict[tuple[str, ...], float]:
        """1 for each reason that holds and 0 for each other one, by reason and kind."""
        return {(reason.code, reason.kind.value): float(reason.code in self.faults) for reason in REASONS}

    def _of(self, kind: Kind) -> dict[str, str]:
        return {code: detail for code, detail in self.faults.items() if BY_CODE[code].kind is kind}


class Health:
    """The looks of one process. `add` takes more of them, from parts that are made later."""

    def __init__(self, name: str, looks: Iterable[Look] = ()) -> None:
        self._name = name
        self._looks = list(looks)
        self._last = Seen()

    def add(self, *looks: Look) -> None:
        """Ask these too from now on."""
        self._looks += looks

    def look(self) -> Seen:
        """Ask every part, and tell the log what began and what ended."""
        faults: dict[str, str] = {}
        for look in self._looks:
            faults.update(_asked(look))
        before, self._last = self._last, Seen(faults)
        self._tell(before.faults)
        return self._last

    def _tell(self, before: Faults) -> None:
        for code in before.keys() - self._last.faults.keys():
            LOG.warning("%s: %s has ended", self._name, code)
        for code in self._last.faults.keys() - before.keys():
            LOG.warning("%s: %s: %s; %s", self._name, code, self._last.faults[code], BY_CODE[code].action)


def _asked(look: Look) -> Faults:
    """A part whose store does not answer says nothing: the store's own look says that it does not."""
    try:
        return look()
    except ConsentEdgeError:
        return {}
