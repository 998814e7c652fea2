"""The POP is killed at each named point and started again: nothing lost, nothing doubled, nothing half."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runtime_host.pop.stores import Interaction, PopStore
from tests.runtime_host.sync.toy_plane import VISITOR, Network, make_sync, policy_hash
from tests.runtime_host.sync.victim import NO, OTHER, open_plane

ROOT = Path(__file__).parents[3]
ROOMS = tuple(ROOT / "runtime_host/pop" / room for room in ("stores", "sync", "evidence"))
SOURCES = [path.read_text() for room in ROOMS for path in room.glob("*.py")]
NAMES = {name for source in SOURCES for name in re.findall(r'crash_point\("(.+?)"\)', source)}
FOLLOWING = "log-before-following"  # passed only where a log takes another's place: a test of its own below
ELSEWHERE = ("attest", "statement")  # evidence/test_crash.py
POINTS = sorted(name for name in NAMES - {FOLLOWING} if not name.startswith(ELSEWHERE))


def run(directory: Path, crash: str = "") -> int:
    paths = f"{ROOT}{os.pathsep}{Path(__file__).parent}"
    environment = {**os.environ, "PYTHONPATH": paths, "CONSENT_EDGE_CRASH": crash}
    victim = [sys.executable, "-m", "tests.runtime_host.sync.victim", str(directory)]
    return subprocess.run(victim, env=environment, check=False).returncode


def prepare(directory: Path) -> None:
    plane, clock = open_plane(directory)
    with PopStore(directory / "pop" / "pop.db", clock) as store:
        for subject in (VISITOR, OTHER):
            store.history.record(Interaction(subject, 3, "behavioral", "click", "tent"))
    assert plane.entries


def check_nothing_is_half(directory: Path) -> None:
    """What is noted is wholly in force, and what is not is wholly absent."""
    _, clock = open_plane(directory)
    with PopStore(directory / "pop" / "pop.db", clock) as store:
        said = bool(store.outbox.pending()) or bool(store.outbox.refused()) or _forwarded(store)
        assert said == (store.revocations.denied(VISITOR, 3) == {"behavioral"})
        assert said == (store.history.read(VISITOR, "behavioral") == ())
        applied = store.log.position.position >= 3
        assert applied == store.tombstones.holds(OTHER) == (store.history.read(OTHER, "behavioral") == ())
        assert applied == bool(
            store.erasures.owed() or store.erasures.complete() or store.queue.pending("purge-receipt")
        )


def check_everything_is_done_once(directory: Path) -> None:
    plane, clock = open_plane(directory)
    home = directory / "pop"
    with PopStore(home / "pop.db", clock) as store:
        sync = make_sync(home, store, plane, Network(plane), clock)
        assert store.log.position.position == len(plane.entries) == 5
        assert (store.outbox.pending(), store.outbox.refused()) == ((), ())
        assert list(plane.withdrawals) == [NO.key]
        assert sync.trust_state.denied(VISITOR, 3) == {"behavioral"}
        assert sync.trust_state.key_revoked("token-old")
        assert sync.trust_state.policy is not None
        assert sync.trust_state.policy.hash == policy_hash(1)
        assert len(store.queue.pending("purge-receipt")) == 1
        assert [row.body["subject"] for row in store.queue.pending("retrain")] == [VISITOR]


def _forwarded(store: PopStore) -> bool:
    return store.database.row("SELECT 1 FROM outbox WHERE state='forwarded'") is not None


@pytest.mark.parametrize("point", POINTS)
def test_crash(tmp_path: Path, point: str) -> None:
    """Killed there, checked, started again, checked."""
    prepare(tmp_path)
    assert run(tmp_path, point) == -9
    check_nothing_is_half(tmp_path)
    assert run(tmp_path) == 0
    check_everything_is_done_once(tmp_path)


def test_crash_points_are_all_reached() -> None:
    """A point that no code passes would test nothing."""
    assert len(POINTS) == 16


def test_crash_at_every_second_entry(tmp_path: Path) -> None:
    """Killed again and again, a little later each time, it still ends where it should."""
    prepare(tmp_path)
    for count in (1, 2, 3):
        assert run(tmp_path, f"log-entry-applied:{count}") == -9
        check_nothing_is_half(tmp_path)
    assert run(tmp_path) == 0
    check_everything_is_done_once(tmp_path)


def test_killed_while_it_turns_to_another_log_it_stands_in_the_old_one_and_turns_again(tmp_path: Path) -> None:
    """Both the place and what is sent again, or neither."""
    prepare(tmp_path)
    assert run(tmp_path) == 0
    script = (
        "import sys; from pathlib import Path; from consent_core.clock import ManualClock\n"
        "from consent_core.formats.log_head import Approval, Succession\n"
        "from consent_core.formats.revocation import Point\n"
        "from runtime_host.pop.stores import PopStore\n"
        "store = PopStore(Path(sys.argv[1]) / 'pop' / 'pop.db', ManualClock())\n"
        "at = store.log.position\n"
        "new = Point(at.position, 'sha256:' + '1' * 64)\n"
        "old = Point(at.position, at.chain)\n"
        "store.follow(Succession(at.origin, old, 'N' * 22, new, Approval('ana', 1)))\n"
    )

    def turn(crash: str) -> int:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONSENT_EDGE_CRASH": crash}
        return subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, check=False).returncode

    def stands() -> tuple[str | None, int]:
        _, clock = open_plane(tmp_path)
        with PopStore(tmp_path / "pop" / "pop.db", clock) as store:
            return store.log.position.origin, len(store.outbox.pending())

    before, pending = stands()
    assert (turn(FOLLOWING), stands()) == (-9, (before, pending))
    assert pending == 0
    assert (turn(""), stands()) == (0, ("N" * 22, 1))
