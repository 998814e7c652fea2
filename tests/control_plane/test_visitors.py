"""What an operator sees of one visitor: the whole history, nothing of others, and never unseen."""

import pytest

from consent_core.audit.reader import read_records
from consent_core.formats.receipt import open_receipt
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.subject import subject_of
from consent_core.trust.providers.selection import open_provider
from consent_core.trust.spiffe import SpiffeId
from control_plane.audit import audited, open_audit
from tests.control_plane.conftest import Caller

ANN = SpiffeId.of("ui-tools", "operator", "ann")


@pytest.fixture
def audit(settings):
    writer = open_audit(settings)
    yield writer
    writer.close()


@pytest.fixture
def operator(plane, audit) -> Caller:
    return Caller(audited(plane.mesh_app, audit, "mesh"), ANN)


def test_the_whole_history_is_shown_with_its_receipts(plane, browser, operator):
    """Each version with choices, rules, policy and notice; each receipt opens and is of that version."""
    visitor, other = browser(), browser()
    visitor.grant("contextual")
    visitor.grant("behavioral")
    visitor.withdraw("contextual")
    other.grant("experimental")
    told = operator("GET", f"/v1/visitors/{subject_of(visitor.sub)}").json()

    assert told["sub"] == visitor.sub
    assert [(version["source"], version["choices"]) for version in told["versions"]] == [
        ("grant", ["contextual"]), ("grant", ["contextual", "behavioral"]), ("withdrawal", ["behavioral"]),
    ]  # fmt: skip
    for version in told["versions"]:
        receipt = open_receipt(version["receipt"], plane.keys.trust_file(), frozenset())
        assert (receipt.ver, receipt.pii_principal_id) == (version["ver"], told["subject"])
        assert (receipt.policy_hash, receipt.jurisdiction) == (version["policy"], version["jurisdiction"])
        assert version["reasons"].keys() == {"contextual", "behavioral", "experimental"}


def test_who_looked_at_whom_is_on_record(settings, browser, operator, audit):
    """The operator in clear, the visitor under their own key."""
    visitor = browser()
    visitor.grant("contextual")
    operator("GET", f"/v1/visitors/{subject_of(visitor.sub)}")
    (record,) = read_records(audit.directory, open_provider("keyring", settings.data))

    assert (record.fields["route"], record.fields["peer"]) == ("/v1/visitors/{subject}", str(ANN))
    assert record.person["sub"] == visitor.sub


def test_an_erased_or_unknown_visitor_is_nobody(plane, browser, operator):
    """The same answer for both; what is no subject is refused."""
    visitor = browser()
    visitor.grant("contextual")
    plane.revoking.revoke(RevocationRequest("purge", subject_of(visitor.sub)))
    answers = [operator("GET", f"/v1/visitors/{name}") for name in (subject_of(visitor.sub), "0" * 64)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(404, answers[0].json())] * 2
    assert operator("GET", f"/v1/visitors/{visitor.sub}").status_code == 400
