"""Leases over clocks: 12,000 lives of a device, drawn with a seed each. The model counts true seconds."""

from dataclasses import dataclass, field, replace
from random import Random

import pytest

from device_agent.leases import Kept, Memory, Moment, Standing, deleted, look, take
from tests.device_agent.leases import NONCE, NOW, SHARE, lease

LIVES = 2_000  # for each of six seeds
STEPS = 24
DAY_S = 86_400


@dataclass
class Life:
    """A machine: what is true, and what its clocks say. `true_s`: seconds since the lease in memory was taken."""

    random: Random
    standing: Standing = field(default_factory=Standing)
    true: int = NOW
    wall: int = NOW
    elapsed: float = 50.0
    generation: int = 1
    true_s: int = 0
    revoked: bool = False
    told: bool = False
    backups: list[Kept] = field(default_factory=list)
    snapshot: tuple[Standing, float, int, int] | None = None

    def moment(self) -> Moment:
        return Moment(self.wall, self.elapsed, self.generation)

    def pass_by(self) -> None:
        """Running or suspended."""
        seconds = self.random.choice((1, 59, 3_600, 30_000, 86_399, 86_400))
        self.true, self.wall, self.elapsed = self.true + seconds, self.wall + seconds, self.elapsed + seconds
        self.true_s += seconds

    def set_clock(self) -> None:
        self.wall += self.random.choice((-90_000, -3_600, -6, -5, 3_600, 90_000))

    def restart(self) -> None:
        """A reboot without network: the clock may be dead, `device.db` may be an older one."""
        off = self.random.choice((0, 60, 28_800, 200_000))
        self.true += off
        self.wall = self.random.choice((0, self.wall, self.wall + off))
        self.elapsed = self.random.choice((0.0, self.elapsed))
        kept = self.random.choice([self.standing.kept, *self.backups])
        self.standing = Standing(kept)

    def back_up(self) -> None:
        self.backups.append(self.standing.kept)

    def save(self) -> None:
        self.snapshot = (self.standing, self.elapsed, self.wall, self.true_s)

    def resume(self) -> None:
        """Memory and CLOCK_BOOTTIME come back unchanged; the kernel may report another generation."""
        if self.snapshot is None:
            return
        self.standing, self.elapsed, self.wall, self.true_s = self.snapshot
        self.generation += self.random.choice((0, 1))

    def revoke(self) -> None:
        self.revoked = True

    def poll(self) -> None:
        """Online: the newest lease, with the share unless it was revoked. Nothing is held before what is owed."""
        self.look()
        held = self.standing.kept.lease
        at = max(self.true, NOW if held is None else held.at)
        allowed = {"categories": (), "ver": 4} if self.revoked else {"ver": 3}
        fresh = lease(at=at, **allowed)
        share = None if self.revoked else SHARE
        if held is not None and held.ver > fresh.ver:
            return
        self.standing = take(self.standing, fresh, share, NONCE, "kiosk-1", self.moment())
        self.true_s, self.told = 0, self.revoked
        self.look()

    def look(self) -> None:
        self.standing = look(self.standing, self.moment())
        if self.standing.state(self.moment()) == "ended":
            assert self.standing.share is None
            self.standing = deleted(self.standing)


ACTS = (
    *(Life.pass_by, Life.pass_by, Life.set_clock, Life.restart, Life.back_up),
    *(Life.save, Life.resume, Life.revoke, Life.poll, Life.poll),
)


def require_laws(life: Life, restarted: bool) -> None:
    """What is true of every device at every moment."""
    state = life.standing.state(life.moment())
    if state == "holding":
        assert life.true_s < DAY_S
        assert not restarted
    if state not in ("holding", "clocked"):
        assert life.standing.share is None
    if life.standing.share is not None:
        assert life.true_s < DAY_S


@pytest.mark.parametrize("seed", range(6))
def test_no_clock_makes_a_device_decide_past_its_lease(seed):
    """Back, forward, suspended, off at night with a dead clock, resumed, restored: never past it, never readable."""
    held = 0
    for number in range(LIVES):
        life, restarted = Life(Random(seed * LIVES + number)), True
        for _ in range(STEPS):
            act = life.random.choice(ACTS)
            before = life.standing.share
            act(life)
            life.look()
            restarted = (restarted or act is Life.restart) and act not in (Life.poll, Life.resume)
            if act is Life.restart:
                assert life.standing.share is None
            if act is Life.poll and life.revoked:
                assert life.standing.share is None
            if before is None and act is not Life.resume:
                assert life.standing.share is None or act is Life.poll
            require_laws(life, restarted)
            held += life.standing.share is not None
    assert held > LIVES  # the lives are worth looking at


def test_a_device_that_is_off_each_night_deletes_after_a_day_of_running():
    """Its clock is dead, nothing is online: 24 h of running time are counted over all the days."""
    standing = take(Standing(), lease(), SHARE, NONCE, "kiosk-1", Moment(0, 0.0))
    for _ in range(3):
        standing = look(Standing(standing.kept), Moment(0, 0.0))
        standing = look(standing, Moment(28_800, 28_800.0))
    assert standing.state(Moment(28_800, 28_800.0)) == "ended"


def test_a_model_that_trusts_the_wall_clock_would_break_the_law():
    """The laws above see a device whose running time is not counted."""
    standing = take(Standing(), lease(), SHARE, NONCE, "kiosk-1", Moment(NOW, 0.0))
    blind = replace(standing, memory=Memory(SHARE, None, 0))
    assert look(blind, Moment(NOW, 90_000.0)).state(Moment(NOW, 90_000.0)) == "holding"
