"""`/readyz` is true: what is broken here alone takes the POP out, what is broken everywhere only alarms."""

import contextlib
import resource
import sqlite3

import pytest

from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import ManualClock
from consent_core.trust.keys import KeyStore
from consent_core.trust.providers.selection import open_provider
from runtime_host.pop.stores import Withdrawal
from tests.runtime_host.pop.edge import ask, make_edge

NO = Withdrawal("k" * 22, "w" * 43, "a" * 64, 4)


@contextlib.contextmanager
def no_file_grows_beyond(size):
    """A write past this offset of any file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def ready(edge, run):
    reply = run(ask(edge.pop.admin_app, "GET", "/readyz"))
    return reply.status, reply.json()["leave"], reply.json()["stay"]


def test_a_pop_in_sync_is_ready_for_no_reason_not_to_be(edge, run):
    """Both lists are there and empty."""
    assert ready(edge, run) == (200, {}, {})


def test_a_full_disk_takes_the_pop_out_and_room_brings_it_back(edge, run):
    """What the database said, until a trial write succeeds."""
    database = edge.pop.store.database
    pages = database._connection.execute("PRAGMA page_count").fetchone()[0]
    database._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(Exception, match="full"):
        edge.pop.store.raw.keep("answer", bytes(1_000_000))
    full = ready(edge, run)
    database._connection.execute("PRAGMA max_page_count=1073741823")
    run(edge.pop.watch.look())

    assert full == (503, {"disk-full": "database or disk is full"}, {})
    assert ready(edge, run) == (200, {}, {})


def test_a_disk_that_refuses_is_tried_at_each_look(edge, run):
    """The limit is the kernel's: SQLite and the trial both meet it."""
    with no_file_grows_beyond(4_096):
        with pytest.raises(Exception, match="disk"):
            edge.pop.store.raw.keep("answer", bytes(100_000))
        run(edge.pop.watch.look())
        refused = ready(edge, run)
    run(edge.pop.watch.look())

    assert (refused[0], list(refused[1])) == (503, ["store-unwritable"])
    assert ready(edge, run) == (200, {}, {})


def test_a_disk_is_tried_although_nobody_writes(edge, run):
    """Every 30 s: a POP that is not asked for anything finds out too."""
    with no_file_grows_beyond(4_096):
        run(edge.pop.watch.look())
        early = ready(edge, run)
        edge.clock.advance(30)
        run(edge.pop.watch.look())
        late = ready(edge, run)

    assert (early[0], late[0], list(late[1])) == (200, 503, ["store-unwritable"])


def test_a_locked_store_takes_the_pop_out(edge, run):
    """Another process holds the lock for longer than a writer waits."""
    edge.pop.store.database._connection.execute("PRAGMA busy_timeout=1")
    with contextlib.closing(sqlite3.connect(edge.pop.config.home / "pop.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Exception, match="locked"):
            edge.pop.store.withdraw(NO)
        locked = ready(edge, run)
        other.execute("ROLLBACK")
    run(edge.pop.watch.look())

    assert locked == (503, {"store-locked": "database is locked"}, {})
    assert ready(edge, run) == (200, {}, {})


def test_a_damaged_store_takes_the_pop_out(edge, run):
    """Found by the trial, before a visitor is refused for it; the answer still comes."""
    edge.pop.store.database.checkpoint()
    with (edge.pop.config.home / "pop.db").open("r+b") as file:
        file.write(b"\xff" * 4_096)
    edge.clock.advance(30)
    run(edge.pop.watch.look())
    status, leave, _ = ready(edge, run)

    assert (status, list(leave)) == (503, ["store-corrupt"])


@pytest.fixture
def recorded(tmp_path, catalogue, run):
    """A POP that keeps an audit trail, sealed by hand."""
    KeyStore.open(tmp_path, create=True)
    limits = AuditLimits(seal_every_s=3_600)
    provider = open_provider("keyring", tmp_path, None)
    audit = AuditWriter.open(tmp_path / "audit" / "edge" / "tokyo-1", "edge/tokyo-1", provider, ManualClock(), limits)
    made = make_edge(tmp_path, catalogue, parts={"audit": audit})
    run(made.sync())
    yield made
    run(made.pop.stop())
    audit.close()


def test_an_audit_trail_that_cannot_be_written_takes_the_pop_out_before_requests_fail(recorded, run):
    """The journal still takes records, and everybody is still answered."""
    audit = recorded.pop._parts.audit
    run(recorded.get("/v1/slots/home-hero"))
    with no_file_grows_beyond(1):
        audit._now_and_then()
        answered = run(recorded.get("/v1/slots/home-hero")).status
        failing = ready(recorded, run)
    recorded.clock.advance(5)
    audit._clock.advance(5)
    audit._now_and_then()

    assert answered == 200
    assert (failing[0], list(failing[1])) == (503, ["audit-unwritable"])
    assert ready(recorded, run) == (200, {}, {})


def test_a_pop_that_starts_is_not_ready_until_it_is_in_sync_or_a_minute_has_passed(tmp_path, catalogue, run):
    """A rollout waits for it; an outage of the control plane does not keep a fleet out for good."""
    edge = make_edge(tmp_path, catalogue)
    edge.network.cut = True
    starting = ready(edge, run)
    edge.clock.advance(60)
    outage = ready(edge, run)
    edge.network.cut = False
    run(edge.sync())
    in_sync = ready(edge, run)
    run(edge.pop.stop())

    assert starting == (503, {"starting": "not in sync yet"}, {"policy-missing": "none has arrived"})
    assert (outage[0], outage[1], sorted(outage[2])) == (200, {}, ["control-plane-away", "policy-missing"])
    assert in_sync == (200, {}, {})


def test_a_control_plane_that_is_away_takes_nobody_out(edge, run):
    """With what the last try failed of."""
    edge.clock.advance(61)
    with contextlib.suppress(Exception):
        edge.network.cut = True
        run(edge.pop.sync.poll())

    status, leave, stay = ready(edge, run)
    assert (status, leave, list(stay)) == (200, {}, ["control-plane-away"])


@pytest.mark.parametrize(
    ("off", "said"),
    [(90, "90 s ahead of the control plane"), (-90, "90 s behind the control plane"), (29, None), (-29, None)],
)
def test_a_clock_that_is_off_is_said_with_its_seconds(edge, run, off, said):
    """Not as a control plane that cannot be reached: it answers, and its signed time is compared."""
    edge.plane.clock = ManualClock(edge.clock.wall - off, edge.clock.boot)
    run(edge.pop.sync.poll())

    assert ready(edge, run) == (200, {}, {} if said is None else {"clock-off": said})


def test_a_backlog_takes_nobody_out(edge, run):
    """Everywhere at once, it would empty the fleet."""
    edge.pop.sync.outgoing.withdraw(NO)
    edge.clock.advance(59)
    run(edge.pop.sync.poll())
    early = ready(edge, run)
    edge.clock.advance(2)

    assert early == (200, {}, {})
    assert ready(edge, run) == (200, {}, {"outbox-late": "the oldest waits for 61 s"})


def test_an_alarm_of_the_log_is_named_and_takes_nobody_out(edge, run):
    """It says more than a control plane that is away."""
    edge.pop.store.log.raise_alarm("log-rewind", edge.clock.now())
    edge.clock.advance(61)

    assert ready(edge, run) == (200, {}, {"log-alarm": "log-rewind"})


def test_reasons_are_on_the_metrics_page_though_the_store_is_damaged(edge, run):
    """A scraper needs the numbers most when something is broken."""
    edge.pop.store.database.checkpoint()
    with (edge.pop.config.home / "pop.db").open("r+b") as file:
        file.write(b"\xff" * 4_096)
    edge.clock.advance(30)
    run(edge.pop.watch.look())
    page = run(ask(edge.pop.admin_app, "GET", "/metrics"))

    assert page.status == 200
    assert 'consent_edge_health{kind="leave",pop="tokyo-1",reason="store-corrupt"} 1.0' in page.body.decode()
