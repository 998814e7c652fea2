"""The proof of consent is kept in the transaction that causes it, and outlives the record."""

import json

import pytest
from sqlalchemy import func, select

from consent_core.evidence.bodies import read_entry_shown
from consent_core.formats.receipt import open_receipt
from consent_core.formats.revocation import subject_of
from control_plane.proofs.retention import DAY_S
from control_plane.revocations.revoking import RevocationRequest
from control_plane.store.schema import ledger_outbox, records


@pytest.fixture
def said(browser):
    """A visitor who said yes, and then no."""
    visitor = browser()
    visitor.grant("contextual", "behavioral")
    visitor.withdraw()
    return visitor


def kept(plane, subject):
    with plane.database.read() as connection:
        return [json.loads(proof.body) for proof in plane.proofs.of(connection, subject)]


def versions(plane):
    with plane.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(records))


def test_every_version_and_entry_has_its_proof(plane, said):
    """A yes and a no: two receipts and one entry, each with a leaf on its way."""
    subject = subject_of(said.sub)
    kinds = [body["kind"] for body in kept(plane, subject)]

    assert sorted(kinds) == ["receipt", "receipt", "revocation"]
    with plane.database.read() as connection:
        people = connection.scalars(select(ledger_outbox.c.leaf)).all()
    assert sum(b'"kind":"person"' in leaf for leaf in people) == 3


def test_a_purge_does_not_destroy_the_proof(plane, said):
    """The records go, at once; what was agreed to stays provable until its term or the person asks."""
    subject = subject_of(said.sub)
    plane.revoking.revoke(RevocationRequest("purge", subject))
    bodies = kept(plane, subject)
    receipts = [open_receipt(body["jws"], plane.keys.trust_file(), frozenset()) for body in bodies if "jws" in body]
    entries = [read_entry_shown(body["entry"]) for body in bodies if "entry" in body]

    assert versions(plane) == 0
    assert [receipt.ver for receipt in receipts] == [1, 2]
    assert [entry.kind for entry in entries] == ["session", "purge"]


def test_the_sweep_of_records_leaves_the_proof(plane, said):
    """180 days later the choice holds no more; that it was made is still provable."""
    plane.settings.clock.advance(plane.settings.consent_retention_s + 1)
    plane.sweep()

    assert versions(plane) == 0
    assert len(kept(plane, subject_of(said.sub))) == 3


def test_the_proof_goes_after_its_term(plane, said):
    """`proof_kept_days`, and no longer."""
    plane.settings.clock.advance(plane.settings.proof_kept_days * DAY_S + 1)
    plane.sweep()

    assert kept(plane, subject_of(said.sub)) == []
