"""One device: every use of what it holds begins with a look at its clocks, and a lease that is over deletes first.

device = Device("kiosk-1", device_key, DeviceStore.open(path), clock)
device.take(lease, share, nonce)
sealing = device.require("behavioral")              # before each decision; refusals delete where they must
device.step()                                       # every few seconds: deletes by itself when offline
"""

from collections.abc import Callable

from consent_core.clock import Clock
from consent_core.errors import Rejected, Unavailable
from consent_core.formats.lease import Lease
from device_agent.leases import Kept, Moment, Standing, State, deleted, look, take
from device_agent.store import DeviceStore, Sealing

# state -> the code of its refusal
REFUSED = {
    "enrolled": "device-no-lease",
    "clocked": "device-clock",
    "closed": "device-closed",
    "ended": "lease-ended",
    "bare": "lease-ended",
}


class Device:
    """`generation()`: of the virtual machine (VMGENID), 0 where there is none."""

    def __init__(
        self, name: str, key: bytes, store: DeviceStore, clock: Clock, generation: Callable[[], int] = lambda: 0
    ) -> None:
        self.name = name
        self._key, self._store, self._clock, self._generation = key, store, clock, generation
        self._standing = Standing(store.kept())

    def step(self) -> State:
        """Look at the clocks; keep what they say; delete what is owed."""
        moment = self._moment()
        self._keep(look(self._standing, moment))
        if self._standing.state(moment) == "ended":
            self._delete()
        return self._standing.state(moment)

    def take(self, lease: Lease, share: bytes | None, nonce: str) -> State:
        """Hold a verified lease; one that allows nothing deletes before this returns. Raises: as `leases.take`."""
        self.step()
        self._keep(take(self._standing, lease, share, nonce, self.name, self._moment()))
        return self.step()

    def require(self, category: str) -> Sealing:
        """What opens models and history for a decision of this category.

        Raises: Unavailable("device-clock" | "device-closed" | "device-no-lease" | "lease-ended"),
                Rejected("lease-category").
        """
        state = self.step()
        if state in REFUSED:
            raise Unavailable(REFUSED[state], f"this device is {state}: a fresh lease is needed")
        lease, share = self._standing.kept.lease, self._standing.share
        assert lease is not None
        assert share is not None
        if category not in lease.categories:
            raise Rejected("lease-category", f"the lease does not allow {category}", status=403)
        return Sealing.of(self._key, share)

    @property
    def kept(self) -> Kept:
        """What lies on the disk."""
        return self._standing.kept

    def _delete(self) -> None:
        self._store.delete()
        if any(self._store.counts().values()):
            raise Unavailable("device-owed", "something is left after a deletion: it stays owed")
        self._keep(deleted(self._standing))

    def _keep(self, standing: Standing) -> None:
        """On the disk first: a crash never makes a device younger than what it did."""
        self._store.keep(standing.kept)
        self._standing = standing

    def _moment(self) -> Moment:
        return Moment(self._clock.now(), self._clock.elapsed(), self._generation())
