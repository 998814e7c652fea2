"""A store of any earlier build opens and keeps everything; a later one is refused; killed in between it is whole."""

import hashlib
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, select, text

from consent_core.formats.session import stored
from consent_core.formats.token import encode_base64url
from consent_core.formats.withdrawals import WithdrawalRow
from consent_core.policy.sources import read_sources
from consent_core.trust.keys import KeyStore
from control_plane.app import ControlPlane, create_app
from control_plane.log.log import RevocationLog
from control_plane.policies.current import Policies
from control_plane.policies.publishing import publish_sources
from control_plane.settings import Settings
from control_plane.store import learning_schema  # noqa: F401 - its tables belong to the description
from control_plane.store.columns import metadata
from control_plane.store.database import Database
from control_plane.store.migrations import FIRST, HOME, revisions
from tests.control_plane import crashing
from tests.control_plane.conftest import Browser, refused_with

STORES = Path(__file__).parent / "stores"
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def version_1(either: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings over a store that version 0.1.0 made, as it left it."""
    if either.database_url is None:
        (either.home / "consent.db").unlink()
        with closing(sqlite3.connect(either.home / "consent.db")) as connection:
            connection.executescript((STORES / "version_1.sqlite.sql").read_text())
        return either
    url = request.getfixturevalue("postgres_server").url()
    with psycopg.connect(url) as connection:
        connection.execute((STORES / "version_1.postgresql.sql").read_text())  # type: ignore[call-overload]
    return replace(either, database_url=url)


@pytest.fixture(params=["new", "version 1"])
def any_store(request: pytest.FixtureRequest, either: Settings) -> Settings:
    """A store that this build made, and one that version 0.1.0 made."""
    settings: Settings = either if request.param == "new" else request.getfixturevalue("version_1")
    return settings


@pytest.fixture
def opened(any_store: Settings) -> Iterator[Database]:
    database = Database.open(any_store.store_url)
    yield database
    database.close()


def rows(settings: Settings) -> Rows:
    """Everything in the store, read by its own description of itself."""
    database = Database(Database.engine_of(settings.store_url))
    with database.read() as connection:
        found = MetaData()
        found.reflect(connection)
        tables = {
            table.name: [dict(row._mapping) for row in connection.execute(select(table))]
            for table in found.sorted_tables
        }
    database.close()
    return tables


def test_a_store_of_the_first_version_opens_and_keeps_every_row(version_1):
    """Consents, receipts, sessions, withdrawals, log, bundles, reports: every row that was there still is."""
    before = rows(version_1)
    Database.open(version_1.store_url).close()
    after = rows(version_1)

    assert {name: len(before[name]) for name in ("visitors", "records", "sessions", "log", "bundles")} == {
        "visitors": 5,
        "records": 9,
        "sessions": 6,
        "log": 7,
        "bundles": 1,
    }
    after["withdrawals"] = [row for row in after["changes"] if row["kind"] == "withdrawal"]
    assert {name: len(found) for name, found in before.items()} == {name: len(after[name]) for name in before}
    assert after["alembic_version"] == [{"version_num": revisions()[-1]}]
    assert {row["receipt"] for row in after["records"]} == {row["receipt"] for row in before["records"]}


def test_every_store_has_the_tables_that_the_program_means(opened):
    """The steps end at `schema.py`, wherever they begin: no table, column or index more or less."""
    with opened.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_opening_again_takes_no_step(any_store):
    """What is at the newest step is left alone, row by row."""
    Database.open(any_store.store_url).close()
    before = rows(any_store)
    Database.open(any_store.store_url).close()

    assert rows(any_store) == before


def test_a_store_of_a_later_build_is_refused_and_left_alone(any_store):
    """A program that does not know a step must not write among what it made."""
    database = Database.open(any_store.store_url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    before = rows(any_store)

    refused_with("store-version", 503, Database.open, any_store.store_url)
    assert rows(any_store) == before


@pytest.mark.parametrize("point", ["store.stamped", "store.migrated"])
def test_killed_between_steps_nothing_is_half_done(version_1, point):
    """The steps commit together: the store is version 1's to the last row, and the next start takes them all."""
    before = rows(version_1)

    assert crashing.run("start", version_1.data, version_1.database_url, point) == -signal.SIGKILL
    assert rows(version_1) == before
    Database.open(version_1.store_url).close()
    assert rows(version_1)["alembic_version"] == [{"version_num": revisions()[-1]}]


def test_starts_at_the_same_moment_take_each_step_once(version_1):
    """Several control planes on one store: the second waits for the first and finds nothing to do."""
    start, failures = threading.Barrier(4), []

    def open_it() -> None:
        start.wait()
        try:
            Database.open(version_1.store_url).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert rows(version_1)["alembic_version"] == [{"version_num": revisions()[-1]}]


def test_steps_are_numbered_without_a_gap_and_each_follows_the_one_before():
    """Two people who add a step meet at its number."""
    numbers, before = revisions(), None
    assert numbers == tuple(f"{number:04}" for number in range(1, len(numbers) + 1))
    assert numbers[0] == FIRST
    for number in numbers:
        (path,) = (HOME / "versions").glob(f"r{number}_*.py")
        said = dict(re.findall(r'^(revision|down_revision) = (?:"(\d{4})"|None)$', path.read_text(), re.MULTILINE))
        assert said == {"revision": number, "down_revision": before or ""}
        before = number


def test_a_new_store_has_one_log(opened):
    """The log's one head row is made with the tables, and only once."""
    with opened.read() as connection:
        heads = connection.execute(select(metadata.tables["log_head"])).all()

    assert [head.id for head in heads] == [1]


def test_a_step_that_fails_leaves_the_store_as_it_was(version_1):
    """Something in the way of a step, such as a table made by hand: refused, and still version 0.1.0's store."""
    database = Database(Database.engine_of(version_1.store_url))
    with database.write() as connection:
        connection.execute(text("CREATE TABLE changes (sub VARCHAR(22))"))
    database.close()
    before = rows(version_1)

    with pytest.raises(Exception, match=r"already exists|store did not answer"):
        Database.open(version_1.store_url)
    assert rows(version_1) == before


def secret(name: str) -> str:
    """A cookie's secret as version 0.1.0 wrote it; the fixtures say how these were made."""
    return encode_base64url(hashlib.sha256(f"fixture/{name}".encode()).digest())


@pytest.fixture
def moved(version_1: Settings) -> Iterator[ControlPlane]:
    """A control plane over version 0.1.0's store, once a policy that its own keys sign is in force."""
    keys, database = KeyStore.open(version_1.data, clock=version_1.clock), Database.open(version_1.store_url)
    policies = Policies(RevocationLog(database, keys, version_1.clock), keys.trust_file, version_1.clock)
    sources = read_sources(version_1.policies, version_1.legal)
    publish_sources(policies, database, keys, sources, "test", version_1.clock.now())
    database.close()
    plane = create_app(version_1)
    yield plane
    plane.close()


def browser(plane: ControlPlane, name: str, *place: object) -> Browser:
    found = Browser(plane, *place)  # type: ignore[arg-type]
    found.secret = secret(name)
    return found


def test_people_of_the_first_version_go_on_with_the_cookies_they_have(moved):
    """What they chose, refused and were told holds; a yes and a no count; the next secret is of the new form."""
    anna, bert, fritz = browser(moved, "anna-2"), browser(moved, "bert-1"), browser(moved, "fritz-1", "US-CA", True)
    carl = browser(moved, "carl-1", "US-CA")
    answers = [visitor.refresh(legacy=visitor.secret) for visitor in (anna, bert, carl, fritz)]

    assert [answer.choices for answer in answers] == [
        ("contextual", "experimental"),
        ("contextual",),
        ("contextual", "behavioral", "experimental"),
        ("contextual",),
    ]
    assert answers[2].categories == ("contextual", "experimental")  # the signal that carl's browser sent is kept
    assert [answer.ver for answer in answers] == [2, 2, 2, 1]
    assert anna.withdraw("experimental", number=3).choices == ("contextual",)
    granted = bert.grant("behavioral", number=3)
    assert (granted.ver, granted.choices, granted.sub) == (3, ("contextual", "behavioral"), answers[1].sub)
    assert bert.refresh().categories == ("contextual", "behavioral")


def test_a_no_that_waited_in_an_old_outbox_counts(moved):
    """It names its session by the old hash; one that was forwarded before the upgrade is not counted again."""
    emil = WithdrawalRow(
        "emil-no-0123456789", None, stored(secret("emil-1")), None, None, ("contextual",), "tokyo-1", 0
    )
    bert = WithdrawalRow(
        "bert-no-0123456789", None, stored(secret("bert-1")), None, None, ("behavioral",), "tokyo-1", 0
    )
    head = moved.log.head()
    first, again = moved.consents.withdraw_many([emil, bert])

    assert (first.code, again.code, again.ver) == (None, None, 2)
    assert moved.log.head() == head + 1
    assert browser(moved, "emil-1").refresh(legacy=secret("emil-1")).choices == ("behavioral",)


def test_a_session_that_the_first_version_rotated_away_stays_so(moved):
    """It may say no; it refreshes nothing; a yes begins a new identity, as it did there."""
    old, new = browser(moved, "anna-1"), browser(moved, "anna-2")
    anna = new.refresh(legacy=new.secret)

    refused_with("session-rotated", 409, old.refresh, legacy=old.secret)
    assert old.grant("contextual", legacy=secret("anna-1")).sub != anna.sub
    row = WithdrawalRow("k" * 22, None, stored(secret("anna-1")), None, None, None, "tokyo-1", 0)
    assert moved.consents.withdraw(None, row).sub == anna.sub


def test_who_was_purged_before_stays_purged(moved):
    """Nothing leads back to dora."""
    dora = browser(moved, "dora-1")

    refused_with("session-unknown", 404, dora.refresh, legacy=dora.secret)
