"""Killed at every named line: what was promised is there, what was not is gone, and a repetition counts once."""

import re
import signal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from consent_core.formats.revocation import subject_of
from consent_core.policy.publish import PolicyRelease, publish
from consent_core.policy.sources import read_sources
from consent_core.resources import ROOT
from control_plane.app import ControlPlane, create_app
from control_plane.queue import RETRAIN, waiting
from control_plane.settings import Settings
from control_plane.store.schema import bundles, changes, records, sessions, visitors
from tests.control_plane import crashing
from tests.control_plane.conftest import poll

# action -> the points it passes
POINTS = {
    "grant": [
        "proof-sealed",
        "consent.record-stored",
        "consent.session-rotated",
        "log.after-number",
        "log.after-entry",
        "log.before-commit",
        "log.after-commit",
    ],
    "withdraw": ["proof-sealed", "consent.withdrawal-remembered", "log.before-commit", "log.after-commit"],
    "revoke": ["revoke.record-stored", "log.after-commit"],
    "purge": [
        "purge.records-deleted",
        "log.before-commit",
        "log.after-commit",
        "erase.part-deleted",
        "erase.part-counted",
    ],
    "revoke_key": ["revoke.key-replaced", "log.before-commit", "log.after-commit"],
    "publish": ["publish.after-store", "publish.after-entry", "log.before-commit", "log.after-commit"],
    "prune": ["log.prune-marked"],
    "start": ["store.stamped", "store.migrated"],
}
COMMITTED = {"log.after-commit", "erase.part-deleted", "erase.part-counted"}
APART = (
    "ledger",
    "restore",
    "attesters",
    "proofs",
    "dsar",
    "federated",
    "registry",
)  # rooms with crash tests of their own
CASES = [(action, point) for action, points in POINTS.items() for point in points]
LASTING = [case for case in CASES if case[0] not in ("prune", "start")]  # these: below, and in test_migrations.py
# On PostgreSQL one line just before each commit: what a dead connection leaves behind is the server's own doing.
STORES = [("sqlite", *case) for case in LASTING]
STORES += [("postgresql", *case) for case in LASTING if case[1] in ("log.before-commit", "publish.after-store")]


@pytest.fixture(scope="session")
def next_bundle(template: Path) -> bytes:
    """A bundle that may follow the template's."""
    plane = create_app(crashing.settings(template))
    keys = plane.keys
    sources = read_sources(plane.settings.policies, plane.settings.legal)
    release = PolicyRelease(2, "test", plane.settings.clock.now(), previous=(plane.policies.bundle().hash,))
    plane.close()
    return publish(sources, keys.current("bundle"), keys.trust_file(), release).data


@pytest.fixture
def before(either: Settings, next_bundle: bytes) -> Settings:
    """A store with one visitor who has consented to everything, and a bundle to publish next."""
    plane = create_app(either)
    (either.data / crashing.BUNDLE).write_bytes(next_bundle)
    crashing.visitor(plane)
    plane.close()
    return either


def run(action: str, settings: Settings, point: str) -> int | None:
    return crashing.run(action, settings.data, settings.database_url, point)


def facts(plane: ControlPlane) -> dict[str, object]:
    """What the store says: log, record, session, work."""
    with plane.database.read() as connection:
        count = {table.name: connection.scalar(select(func.count()).select_from(table)) for table in TABLES}
        jobs = [job.body["seq"] for job in waiting(connection, RETRAIN)]
    entries = [(entry.kind, entry.ver) for entry in poll(plane).entries]
    return {"entries": entries, "jobs": jobs, "policy": plane.policies.bundle().revision, **count}


TABLES = (visitors, records, sessions, changes, bundles)
UNTOUCHED = {
    "entries": [("policy", 0)],
    "jobs": [],
    "policy": 1,
    "visitors": 1,
    "records": 1,
    "sessions": 1,
    "changes": 1,
    "bundles": 1,
}
EVER = 2**53 - 1
DONE = {
    "grant": {"entries": [("policy", 0), ("session", 2)], "jobs": [2], "records": 2, "sessions": 2, "changes": 2},
    "withdraw": {"entries": [("policy", 0), ("session", 2)], "jobs": [2], "records": 2, "changes": 2},
    "revoke": {"entries": [("policy", 0), ("session", 2)], "jobs": [2], "records": 2},
    "purge": {"entries": [("policy", 0), ("purge", EVER)], "visitors": 0, "records": 0, "sessions": 0} | {"changes": 0},
    "revoke_key": {"entries": [("policy", 0), ("key", 0)]},
    "publish": {"entries": [("policy", 0), ("policy", 0)], "policy": 2, "bundles": 2},
}


@pytest.mark.parametrize(("either", "action", "point"), STORES, indirect=["either"])
def test_crash_leaves_all_or_nothing_and_a_repetition_counts_once(before, action, point):
    """Before the commit nothing has happened, after it everything has; then the action is simply sent again."""
    killed = run(action, before, point)
    plane = create_app(before)
    after_crash = facts(plane)
    crashing.ACTIONS[action](plane)
    after_repetition = facts(plane)
    plane.close()

    done = {**UNTOUCHED, **DONE[action]}
    assert killed == -signal.SIGKILL
    assert after_crash == (done if point in COMMITTED else UNTOUCHED)
    assert after_repetition == done


def test_crash_while_pruning_loses_no_entry(settings):
    """Marked and deleted together: a poller gets either the entries or a snapshot, never a hole."""
    plane = create_app(settings)
    sub = crashing.visitor(plane)
    crashing.withdraw(plane)

    assert run("prune", settings, "log.prune-marked") == -signal.SIGKILL
    assert [entry.subject for entry in poll(plane).entries][1:] == [subject_of(sub)]
    crashing.prune(plane)
    assert plane.log.reply(0, "n").is_snapshot
    plane.close()


def test_crash_points_are_all_tried():
    """Every named line of the control plane stands in the table above; some rooms have their own."""
    home = ROOT / "control_plane"
    mine = (path for path in home.rglob("*.py") if path.relative_to(home).parts[0] not in APART)
    sources = "".join(path.read_text() for path in mine)
    named = set(re.findall(r'crash_point\("([^"]+)"\)', sources))

    restoring = {"restore.before-commit"}  # in the log's own room; tried in test_restore.py

    assert named | {"proof-sealed"} == {point for _, point in CASES} | restoring
