"""The control plane's own trail: every request with its route's pattern, whose it was, and what POPs said of theirs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consent_core.audit.reader import AuditRecord, read_records
from consent_core.audit.verify import reported_heads, verify
from consent_core.audit.writer import AuditWriter
from consent_core.formats.consent import RefreshRequest, read_answer, write_request
from consent_core.formats.revocation import subject_of
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.session import credentials_of
from consent_core.formats.status import PopStatus, write_status
from consent_core.formats.withdrawals import write_row
from consent_core.trust.providers.selection import open_provider
from consent_core.trust.spiffe import SpiffeId
from control_plane.app import ControlPlane
from control_plane.audit import Shredding, audited, open_audit
from control_plane.settings import Settings
from tests.control_plane.conftest import POP, Browser, Caller, new_secret

PEER = SpiffeId.of("ui-tools", "edge", POP)
HEAD = "7:" + "a" * 64


@pytest.fixture
def audit(settings: Settings) -> Iterator[AuditWriter]:
    writer = open_audit(settings)
    yield writer
    writer.close()


def records(audit: AuditWriter, settings: Settings) -> list[AuditRecord]:
    return list(read_records(audit.directory, open_provider("keyring", settings.data)))


def grant(plane: ControlPlane, mesh: Caller) -> tuple[Any, Any]:
    browser, secret = Browser(plane), new_secret()
    request = browser.request("contextual", secret=secret)
    answer = read_answer(mesh("POST", "/v1/consents", content=write_request(request)).content)
    return credentials_of(secret.encode()).grant, answer


def test_every_request_is_recorded_by_its_pattern(plane: ControlPlane, settings: Settings, audit: AuditWriter) -> None:
    """Paths hold visitors' ids; the record has the pattern, and the id under that visitor's key."""
    mesh = Caller(audited(plane.mesh_app, audit, "mesh"), PEER)
    session, answer = grant(plane, mesh)
    refresh = write_request(RefreshRequest(session, "EU", False, POP))
    mesh("POST", f"/v1/consents/{answer.sub}/refresh", content=refresh)
    mesh("GET", f"/v1/consents/{answer.sub}")
    mesh("GET", "/v1/nothing")
    found = records(audit, settings)

    assert [(r.fields["method"], r.fields["route"], r.fields["status"], r.fields.get("code")) for r in found] == [
        ("POST", "/v1/consents", 200, None),
        ("POST", "/v1/consents/{sub}/refresh", 200, None),
        ("GET", "/v1/consents/{sub}", 400, "bad-request"),
        ("GET", None, 404, "route-unknown"),
    ]
    assert {r.person["sub"] for r in found if r.person} == {answer.sub}
    assert found[0].fields["peer"] == str(PEER)
    for path in audit.directory.iterdir():
        assert answer.sub.encode() not in path.read_bytes(), path.name


def test_a_grant_is_recorded_with_what_it_rests_on(plane: ControlPlane, settings: Settings, audit: AuditWriter) -> None:
    """Choices, law, the rule of each category, the policy and the notice; of a withdrawal the same."""
    mesh = Caller(audited(plane.mesh_app, audit, "mesh"), PEER)
    clauses = plane.policies.in_force().bundle.clauses
    notice = next(clause for name, clause in clauses.items() if name.startswith("notice-eu"))
    browser, secret = Browser(plane), new_secret()
    asked = browser.request("contextual", secret=secret, clause_id=notice.id, notice_digest=notice.sha256)
    answer = read_answer(mesh("POST", "/v1/consents", content=write_request(asked)).content)
    browser.secret = secret
    mesh("DELETE", f"/v1/consents/{answer.sub}", content=write_row(browser.row("contextual")))
    granted, withdrawn = [record.fields for record in records(audit, settings)]

    rests_on = {"jurisdiction": "EU", "policy": plane.policies.in_force().bundle.hash, "notice": notice.sha256}
    assert {name: granted[name] for name in ("choices", "effective", *rests_on)} == {
        "choices": ["contextual"], "effective": ["contextual"], **rests_on,
    }  # fmt: skip
    assert granted["rules"] == [f"{name} {reason}" for name, reason in sorted(answer.reasons.items())]
    assert {name: withdrawn[name] for name in ("choices", "effective", *rests_on)} == {
        "choices": [], "effective": [], **rests_on,
    }  # fmt: skip


def test_heads_of_pops_are_on_record(plane: ControlPlane, settings: Settings, audit: AuditWriter) -> None:
    """What a POP reported of its trail can be held against that trail later."""
    mesh = Caller(audited(plane.mesh_app, audit, "mesh"), PEER)
    mesh("POST", f"/v1/pops/{POP}/status", content=write_status(PopStatus(None, 0, audit_head=HEAD)))
    audit.flush()

    assert reported_heads(audit.directory, open_provider("keyring", settings.data)) == {POP: [HEAD]}


def test_heads_of_a_pops_workers_are_on_record(plane: ControlPlane, settings: Settings, audit: AuditWriter) -> None:
    """Each under its own trail's name; for another POP's trail a POP cannot speak."""
    mesh = Caller(audited(plane.mesh_app, audit, "mesh"), PEER)
    heads = {f"{POP}.w2": HEAD, "elsewhere-1.w2": HEAD}
    mesh("POST", f"/v1/pops/{POP}/status", content=write_status(PopStatus(None, 0, worker_heads=heads)))
    audit.flush()

    assert reported_heads(audit.directory, open_provider("keyring", settings.data)) == {f"{POP}.w2": [HEAD]}


def test_a_purged_visitor_is_shredded(plane: ControlPlane, settings: Settings, audit: AuditWriter) -> None:
    """After the purge nobody can say whose requests these were; the trail is whole; doing it again adds nothing."""
    mesh = Caller(audited(plane.mesh_app, audit, "mesh"), PEER)
    _, answer = grant(plane, mesh)
    plane.revoking.revoke(RevocationRequest("purge", subject_of(answer.sub)))
    Shredding(plane.log, audit)()
    Shredding(plane.log, audit)()
    found = records(audit, settings)

    assert [(r.shredded, r.fields.get("event")) for r in found] == [(True, None), (False, "shred")]
    assert verify(audit.directory, open_provider("keyring", settings.data), [audit.head().text]).problem is None


@pytest.mark.parametrize("line", ["", "vault", "openbao+https://bao.internal/", "openbao+ftp://bao.internal/key"])
def test_an_unknown_key_provider_is_refused(settings: Settings, line: str) -> None:
    """A typing error in the configuration does not fall back to a local file."""
    with pytest.raises(ValueError, match="key provider"):
        open_audit(replace(settings, key_provider=line, key_provider_token="t"))


def test_the_trail_is_where_the_contract_says(settings: Settings, audit: AuditWriter) -> None:
    """`audit/edge/control-plane/` below the data directory."""
    assert audit.directory == Path(settings.data) / "audit" / "edge" / "control-plane"
