"""Of several control planes over one PostgreSQL one carries requests; the others get the turn when it is gone."""

import psycopg
import pytest

from control_plane.dsar.turn import TURN_LOCK, Turn
from control_plane.store.database import Database

END = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"


@pytest.fixture
def url(postgres_server):
    return postgres_server.url()


@pytest.fixture
def turns(url):
    """Those of two processes."""
    databases = [Database.open(url), Database.open(url)]
    turns = [Turn(database) for database in databases]
    yield turns
    for turn, database in zip(turns, databases, strict=True):
        turn.close()
        database.close()


def test_one_has_the_turn_and_keeps_it(turns):
    """However often both ask."""
    first, second = turns

    assert [first.is_mine(), second.is_mine(), first.is_mine(), second.is_mine()] == [True, False, True, False]


def test_a_closed_one_leaves_the_turn_to_the_other(turns):
    """As at a stop."""
    first, second = turns
    assert first.is_mine()
    first.close()

    assert second.is_mine()
    assert not first.is_mine()


def test_the_turn_of_a_connection_that_died_goes_on(turns, url):
    """A killed process ends its connection; who lost the turn does not believe that it has it."""
    first, second = turns
    assert first.is_mine()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(END, (TURN_LOCK,))

    assert second.is_mine()
    assert not first.is_mine()
    assert not first.is_mine()


def test_the_only_process_of_a_sqlite_store_has_it(tmp_path):
    """Several need a PostgreSQL; the settings refuse anything else."""
    database = Database.open(f"sqlite:///{tmp_path / 'consent.db'}")

    assert Turn(database).is_mine()
    database.close()
