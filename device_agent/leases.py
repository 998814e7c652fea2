"""The state of a device as a function of its lease, its share and its clocks. No clock is read here.

    standing = take(standing, lease, share, nonce, moment)     # a lease that was verified, or a refusal
    standing = look(standing, moment)                          # before each decision, and every few seconds
    standing.state(moment)

    enrolled   no lease was ever held            holding   decides
    clocked    the wall clock went back          closed    the share is not in memory: nothing is readable
    ended      delete, count again, attest       bare      it is deleted

`ended` is judged before everything else. Running time counts what no wall clock can take back: seconds since the lease
was taken, over all runs, while the machine ran or slept (CLOCK_BOOTTIME). `Kept` lies on the disk; `Memory` never does.
"""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.lease import SHARE_BYTES, Lease

State: TypeAlias = Literal["enrolled", "holding", "clocked", "closed", "ended", "bare"]

BACK_S = 5  # the wall clock may go back so far: NTP steps it


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at the machine's clocks. elapsed: CLOCK_BOOTTIME. generation: of the virtual machine; 0 for none."""

    now: int
    elapsed: float
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What lies on the disk. highest: the latest time ever believed. ran_s: running time since the lease was taken.

    bare: what the lease held is deleted. ended: a deletion is owed; nothing takes that back but a deletion.
    """

    lease: Lease | None = None
    highest: int = 0
    ran_s: float = 0.0
    bare: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What this process alone knows: the share, and the clocks at its last look."""

    share: bytes | None = field(default=None, repr=False)
    elapsed: float | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """A device at one moment. After a restart: `Standing(kept)`, with empty memory."""

    kept: Kept = Kept()
    memory: Memory = Memory()

    @property
    def share(self) -> bytes | None:
        """What opens models and history; None where they are unreadable."""
        return self.memory.share

    def state(self, moment: Moment) -> State:
        """Which of the six this is, of a standing that `look` or `take` made at this moment."""
        kept = self.kept
        if kept.lease is None:
            return "enrolled"
        if kept.ended:
            return "bare" if kept.bare else "ended"
        if kept.bare:
            return "bare"
        if self.memory.share is None:
            return "closed"
        return "clocked" if _went_back(kept, moment) else "holding"


def look(standing: Standing, moment: Moment) -> Standing:
    """Let time pass: running time is added, a lease that is over ends, and its share is forgotten."""
    kept, memory = standing.kept, standing.memory
    passed = 0.0 if memory.elapsed is None else max(0.0, moment.elapsed - memory.elapsed)
    aged = replace(kept, ran_s=kept.ran_s + passed, highest=max(kept.highest, moment.now))
    # A resumed copy of this machine is another machine: it asks for its own share.
    share = memory.share if memory.generation == moment.generation else None
    if _is_over(aged, moment):
        aged, share = replace(aged, ended=True), None
    return Standing(aged, Memory(share, moment.elapsed, moment.generation))


def take(standing: Standing, lease: Lease, share: bytes | None, nonce: str, device: str, moment: Moment) -> Standing:
    """Hold a lease that this device just asked for with `nonce`. Running time begins anew.

    A lease that allows nothing, or less than the one held, ends what is held; that is deleted before a share is held
    again. The wall clock is compared with itself: a device whose clock is dead decides while its lease runs.
    Raises: Untrusted("lease-foreign" | "lease-nonce" | "lease-rewind" | "lease-share"),
            Rejected("lease-owed", 409): a deletion is owed first.
    """
    _require_mine(standing.kept, lease, nonce, device)
    if lease.ends or _narrows(standing.kept.lease, lease):
        ended = Kept(lease, moment.now, ended=True)
        return Standing(ended, Memory(None, moment.elapsed, moment.generation))
    if standing.kept.ended and not standing.kept.bare:
        raise Rejected("lease-owed", "what the last lease held is deleted first", status=409)
    if share is None or len(share) != SHARE_BYTES:
        raise Untrusted("lease-share", f"expected a share of {SHARE_BYTES} bytes")
    return Standing(Kept(lease, moment.now), Memory(share, moment.elapsed, moment.generation))


def deleted(standing: Standing) -> Standing:
    """Everything that the lease held was deleted and counted at 0."""
    return Standing(replace(standing.kept, bare=True, ended=True), replace(standing.memory, share=None))


def _require_mine(kept: Kept, lease: Lease, nonce: str, device: str) -> None:
    held = kept.lease
    if lease.device != device:
        raise Untrusted("lease-foreign", "the lease is another device's")
    if held is not None and held.subject != lease.subject:
        raise Untrusted("lease-foreign", "the lease is about another person")
    if lease.nonce != nonce:
        raise Untrusted("lease-nonce", "the lease answers another question")
    if held is not None and (lease.at < held.at or lease.ver < held.ver):
        raise Untrusted("lease-rewind", "the lease is older than the one held")


def _narrows(held: Lease | None, lease: Lease) -> bool:
    return held is not None and not set(held.categories) <= set(lease.categories)


def _is_over(kept: Kept, moment: Moment) -> bool:
    """By running time, with any wall clock; or by the wall clock, also after a night without power."""
    lease = kept.lease
    return lease is not None and (kept.ran_s >= lease.delete_at - lease.at or moment.now >= lease.delete_at)


def _went_back(kept: Kept, moment: Moment) -> bool:
    return moment.now < kept.highest - BACK_S
