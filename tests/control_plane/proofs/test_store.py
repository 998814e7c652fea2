"""The proof store: sealed per person, in the transaction that causes it, destroyed for good."""

import hashlib
import sqlite3
from contextlib import closing, contextmanager, suppress

import pytest
from sqlalchemy.exc import IntegrityError

from consent_core.clock import ManualClock
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.leaf import commit
from consent_core.policy.clauses import read_clause
from consent_core.resources import resource
from consent_core.trust.providers.selection import open_provider
from control_plane.ledger.entries import Opening
from control_plane.proofs.retention import BACKUPS_KEPT_DAYS, DAY_S, PROOF_KEPT_DAYS, is_named
from control_plane.proofs.store import ProofStore
from control_plane.store.database import Database

ANN, BOB = "a1" * 32, "b0" * 32
SALT = bytes(range(32))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def database(either):
    database = Database.open(either.store_url)
    yield database
    database.close()


@pytest.fixture
def place(tmp_path):
    return tmp_path / "proofs"


@pytest.fixture
def proofs(place, clock):
    store = ProofStore.open(place, open_provider("keyring", place.parent, None), clock)
    yield store
    store.close()


def keep(proofs, connection, subject, body, salt=SALT):
    key = commit(body, salt).hex()
    proofs.keep(connection, [Opening(subject, body, salt, key)])
    return key


@contextmanager
def failing(database):
    """A transaction that is rolled back at its end."""
    with suppress(RuntimeError), database.write() as connection:
        yield connection
        raise RuntimeError


def test_what_is_kept_opens_its_leaf(proofs, database):
    """Body and salt come back, oldest first, and only for the person they are about."""
    with database.write() as connection:
        keys = [keep(proofs, connection, ANN, body) for body in (b'{"n":1}', b'{"n":2}')]
        keep(proofs, connection, BOB, b'{"n":3}')
    with database.read() as connection:
        found = proofs.of(connection, ANN)

    assert [proof.leaf_key for proof in found] == keys
    assert [commit(proof.body, proof.salt).hex() for proof in found] == keys


def test_a_transaction_that_fails_keeps_nothing(proofs, database):
    """A proof of what did not happen would be a lie."""
    with failing(database) as connection:
        keep(proofs, connection, ANN, b"{}")
    with database.read() as connection:
        assert proofs.of(connection, ANN) == []


def test_a_leaf_is_kept_once(proofs, database):
    """A salt serves one leaf: a second proof of it would be a mistake of ours, and undoes the change."""
    with suppress(IntegrityError), database.write() as connection:
        keep(proofs, connection, ANN, b"{}")
        keep(proofs, connection, ANN, b"{}")
    with database.read() as connection:
        assert proofs.count(connection) == 0


def test_destroyed_proofs_open_for_nobody(proofs, database, clock):
    """Keys and rows are gone, nothing new is kept of that person, and others are as before."""
    with database.write() as connection:
        keep(proofs, connection, ANN, b"{}")
        clock.advance(40 * DAY_S)
        keep(proofs, connection, ANN, b'{"n":2}')
        keep(proofs, connection, BOB, b'{"n":3}')
    with database.write() as connection:
        assert proofs.destroy(connection, ANN) == 2
        keep(proofs, connection, ANN, b'{"n":4}')
    with database.read() as connection:
        assert (proofs.of(connection, ANN), len(proofs.of(connection, BOB))) == ([], 1)


def test_a_restored_row_without_its_key_opens_for_nobody(proofs, database):
    """A backup of the consent database alone brings no proof back."""
    with database.write() as connection:
        keep(proofs, connection, ANN, b"{}")
    with failing(database) as connection:
        proofs.destroy(connection, ANN)  # afterwards the rows are as they were, the keys are not
    with database.read() as connection:
        assert (proofs.count(connection), proofs.of(connection, ANN)) == (1, [])


def test_proofs_run_out_with_their_term(proofs, database, clock):
    """To the day for rows, by whole months for keys; what is younger stays."""
    with database.write() as connection:
        keep(proofs, connection, ANN, b"{}")
        clock.advance(PROOF_KEPT_DAYS * DAY_S - 1)
        keep(proofs, connection, ANN, b'{"n":2}')
        assert proofs.expire(connection, PROOF_KEPT_DAYS * DAY_S) == 0
        clock.advance(1)
        assert proofs.expire(connection, PROOF_KEPT_DAYS * DAY_S) == 1
        assert [proof.body for proof in proofs.of(connection, ANN)] == [b'{"n":2}']


def test_the_store_holds_no_name_and_no_body_in_clear(proofs, database, place, settings):
    """Raw bytes of every file: neither the person nor what is proven."""
    body = b'{"jws":"a-receipt-in-clear"}'
    with database.write() as connection:
        keep(proofs, connection, ANN, body)
    files = [*place.rglob("*"), *settings.home.rglob("*")]
    raw = b"".join(file.read_bytes() for file in files if file.is_file())

    assert ANN.encode() not in raw
    assert b"a-receipt-in-clear" not in raw
    assert hashlib.sha256(ANN.encode()).hexdigest().encode() not in raw


def test_a_proof_is_a_salt_and_a_commitment(proofs, database):
    """A proof that can open nothing is refused before it is kept."""
    for salt, key in ((b"short", bytes(32).hex()), (SALT, "AAAA")):
        with pytest.raises(Untrusted) as caught, database.write() as connection:
            proofs.keep(connection, [Opening(ANN, b"{}", salt, key)])
        assert caught.value.code == "commitment"


def test_another_process_reads_what_this_one_kept(proofs, database, place, clock):
    """Keys lie on the disk, wrapped; a restart opens them again."""
    with database.write() as connection:
        keep(proofs, connection, ANN, b"{}")
    again = ProofStore.open(place, open_provider("keyring", place.parent, None), clock)
    with database.read() as connection:
        assert len(again.of(connection, ANN)) == 1
    again.close()


def test_the_clause_names_the_period():
    """What people read is what is done; another number is noticed."""
    clause = read_clause("retention", resource("legal/clauses/retention.md").read_text())

    assert is_named(clause, PROOF_KEPT_DAYS, BACKUPS_KEPT_DAYS)
    assert not is_named(clause, PROOF_KEPT_DAYS + 1, BACKUPS_KEPT_DAYS)
    assert not is_named(None, PROOF_KEPT_DAYS, BACKUPS_KEPT_DAYS)


def test_keys_of_many_are_made_all_or_none(proofs, database, place, clock):
    """A disk that refuses the second person's key: nothing was sealed under the first one's, which is not there."""
    keys = sqlite3.connect(place / "visitors.db", isolation_level=None)
    keys.execute(
        "CREATE TRIGGER full BEFORE INSERT ON visitor WHEN (SELECT COUNT(*) FROM visitor) > 0 "
        "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    openings = [Opening(who, b"{}", SALT, commit(b"{}" + who.encode(), SALT).hex()) for who in (ANN, BOB)]
    with pytest.raises(Unavailable), database.write() as connection:
        proofs.keep(connection, openings)
    keys.execute("DROP TRIGGER full")
    with database.write() as connection:
        proofs.keep(connection, openings)
    proofs.close()
    reopened = ProofStore.open(place, open_provider("keyring", place.parent, None), clock)
    with database.read() as connection:
        kept = [len(reopened.of(connection, who)) for who in (ANN, BOB)]
    reopened.close()
    keys.close()

    assert kept == [1, 1]


def test_a_key_made_ahead_is_the_one_that_seals(proofs, database, place, clock):
    """Expected or not, a person has one key a month, and it is on the disk before the row."""
    proofs.expect([ANN, BOB])
    with database.write() as connection:
        keep(proofs, connection, ANN, b'{"n":1}')
        keep(proofs, connection, BOB, b'{"n":2}')
    proofs.expect([ANN])
    proofs.close()
    with closing(sqlite3.connect(place / "visitors.db")) as keys:
        made = keys.execute("SELECT COUNT(*) FROM visitor").fetchone()[0]
    again = ProofStore.open(place, open_provider("keyring", place.parent, None), clock)
    with database.read() as connection:
        kept = [len(again.of(connection, who)) for who in (ANN, BOB)]
    again.close()

    assert (made, kept) == (2, [1, 1])


def test_a_key_that_cannot_be_made_ahead_is_asked_for_again(proofs, database, place):
    """The change that needs it is refused by the store, not by what was tried before; the next one goes on."""
    with closing(sqlite3.connect(place / "visitors.db", isolation_level=None)) as keys:
        keys.execute("CREATE TRIGGER full BEFORE INSERT ON visitor BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        proofs.expect([ANN])
        with pytest.raises(Unavailable), database.write() as connection:
            keep(proofs, connection, ANN, b"{}")
        keys.execute("DROP TRIGGER full")
    with database.write() as connection:
        keep(proofs, connection, ANN, b"{}")
    with database.read() as connection:
        assert len(proofs.of(connection, ANN)) == 1
