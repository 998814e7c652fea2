"""The catalogue is live: looked at every 2 s, checked in the background, swapped as a whole.

By looking and not by notifications: a look works on every file system, through links and mounts; it costs 10 µs a
file.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from consent_core.errors import Rejected
from runtime_host.pop.images.gallery.gallery import Gallery
from runtime_host.pop.images.loading import LoadedCatalogue

LOG = logging.getLogger("consent_edge.pop")

EVERY_S = 2.0
CATALOGUE = "catalogue"  # the name of a fault that is of no asset


class CatalogueWatch:
    """What is shown of a gallery. `adopt`: called with each catalogue that takes over, on the event loop."""

    def __init__(self, gallery: Gallery, shown: LoadedCatalogue, adopt: Callable[[LoadedCatalogue], None]) -> None:
        self._gallery, self._shown, self._adopt = gallery, shown, adopt
        self._broken: Mapping[str, str] = {}
        self._logged: set[str] = set()
        self._one = asyncio.Lock()  # loads one after the other
        self._log()

    @property
    def faults(self) -> Mapping[str, str]:
        """What is broken, by asset, and why; what is shown is the last good, or nothing of that asset."""
        undrawn = {f"{asset}.copies": why for asset, why in self._shown.undrawn.items()}
        return {**self._shown.refused, **self._shown.kept, **undrawn, **self._broken}

    def health(self) -> dict[str, str]:
        """The reason `catalogue-broken`, as `/readyz` asks for it."""
        return {"catalogue-broken": ", ".join(sorted(self.faults))} if self.faults else {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Load what has changed, if anything has."""
        if await asyncio.to_thread(self._gallery.changed):
            await self.load()

    async def load(self) -> None:
        """Load the catalogue; one that cannot be used leaves everything as it is."""
        async with self._one:
            await self._load()

    async def _load(self) -> None:
        try:
            loaded = await self._gallery.load()
        except Rejected as error:
            self._broken = {CATALOGUE: error.message}
        else:
            self._broken = {}
            if loaded != self._shown:
                self._shown = loaded
                self._adopt(loaded)
        self._log()

    def _log(self) -> None:
        """Each fault once, until it is gone."""
        faults = {f"{name}: {why}" for name, why in self.faults.items()}
        for fault in sorted(faults - self._logged):
            LOG.warning("catalogue: %s", fault)
        self._logged = faults
