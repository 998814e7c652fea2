"""The routes: bodies in and out, failures our way, ETags, key sets, reports of POPs, documentation without a CDN."""

import json
import re

import pytest
from sqlalchemy import select

from consent_core.errors import Rejected
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.consent import RefreshRequest, read_answer, write_request
from consent_core.formats.jwks import read_jwks
from consent_core.formats.revocation import open_answer, open_snapshot, subject_of
from consent_core.formats.status import PopStatus, PurgeReceipt, write_status
from consent_core.formats.token import CATEGORIES, Expectation, validate
from consent_core.formats.withdrawals import read_answers, write_row, write_rows
from consent_core.policy.bundle import open_bundle
from consent_core.trust.signatures import verify_signature
from consent_core.trust.spiffe import SpiffeId
from control_plane.log.log import ROWS_GONE_S
from control_plane.store.schema import purge_receipts, queue
from tests.control_plane.conftest import POP, Browser, Caller, new_secret


def error(response):
    """Status and code; the body is exactly the agreed form."""
    value = response.json()
    assert value.keys() == {"error"}
    assert value["error"].keys() == {"code", "message"}
    return response.status_code, value["error"]["code"]


def granted(mesh, browser, *choices):
    visitor, secret = browser(), new_secret()
    request = visitor.request(*choices, secret=secret)
    answer = read_answer(mesh("POST", "/v1/consents", content=write_request(request)).content)
    visitor.secret, visitor.sub = secret, answer.sub
    return visitor, answer


def test_a_visitor_through_the_api(mesh, browser):
    """Grant, look, refresh, withdraw, look again."""
    visitor, answer = granted(mesh, browser, "contextual", "behavioral")
    path, header = f"/v1/consents/{visitor.sub}", {"Consent-Session": visitor.session}
    refresh = write_request(RefreshRequest(visitor.session, "EU", False, POP))
    withdrawal = write_row(visitor.row("behavioral"))

    assert answer.token is not None
    assert read_answer(mesh("GET", path, headers=header).content).token is None
    assert read_answer(mesh("POST", f"{path}/refresh", content=refresh).content).token is not None
    assert read_answer(mesh("DELETE", "/v1/consents/-", content=withdrawal).content).ver == 2
    assert read_answer(mesh("GET", "/v1/consents/-", headers=header).content).choices == ("contextual",)
    assert mesh("GET", path, headers=header).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "more", "expected"),
    [
        ("POST", "/v1/consents", {"content": b"{}"}, (400, "bad-request")),
        ("POST", "/v1/consents", {"content": b"\xff"}, (400, "bad-request")),
        ("POST", "/v1/consents", {"content": b"[" * 60_000}, (400, "bad-request")),
        ("POST", "/v1/consents", {"content": b" " * 65_537}, (413, "body-too-large")),
        ("GET", "/v1/consents/-", {}, (400, "bad-request")),
        ("GET", "/v1/consents/not-a-sub", {"headers": {"Consent-Session": "A" * 43}}, (400, "bad-request")),
        ("GET", "/v1/consents/-", {"headers": {"Consent-Session": "A" * 43}}, (404, "session-unknown")),
        ("GET", "/v1/revocations?after=-1", {}, (400, "bad-request")),
        ("GET", "/v1/revocations?after=9007199254740992", {}, (400, "bad-request")),
        ("GET", "/v1/revocations?wait=21", {}, (400, "bad-request")),
        ("GET", "/v1/revocations?nonce=%0a", {}, (400, "bad-request")),
        ("GET", "/v1/revocations/1", {}, (404, "route-unknown")),
        ("GET", "/v1/revocations/9/receipts", {}, (404, "entry-unknown")),
        ("POST", "/v1/revocations", {"content": b'{"kind":"policy","model":"x"}'}, (400, "bad-request")),
        ("POST", "/v1/revocations", {"content": b'{"kind":"session"}'}, (400, "bad-request")),
        ("POST", "/v1/revocations", {"content": b'{"kind":"model","model":"a b"}'}, (400, "bad-request")),
        ("POST", "/v1/policy/bundle", {"content": b"not a bundle"}, (422, "bundle-archive")),
        ("POST", "/v1/pops/Tokyo/status", {"content": b"{}"}, (400, "bad-request")),
        ("POST", "/v1/pops/tokyo-1/status", {"content": b"{}"}, (400, "bad-request")),
        ("GET", "/v1/pops/nowhere-1/status", {}, (404, "pop-unknown")),
        ("POST", "/v1/keys/master/rotate", {}, (400, "bad-request")),
        ("PUT", "/v1/consents", {}, (405, "method-not-allowed")),
        ("GET", "/", {}, (404, "route-unknown")),
        ("GET", "/docs", {}, (404, "route-unknown")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_failures_have_a_status_and_a_code(mesh, plane, method, path, more, expected):
    """Whatever is sent: the agreed JSON, the right status, counted; never a stack trace."""
    assert error(mesh(method, path, **more)) == expected
    assert sum(plane.failures.values()) == 1


def test_an_unforeseen_failure_says_nothing_of_the_inside(plane, mesh, caplog):
    """The caller gets a code that names no file and no library, the log gets the trace."""
    plane.database.engine.dispose()
    plane.settings.home.joinpath("consent.db").write_bytes(b"x" * 8192)
    answer = mesh("GET", "/v1/revocations")

    assert answer.status_code in (500, 503)
    assert answer.json()["error"]["code"] in ("internal", "store-unavailable", "store-corrupt")
    assert "sqlite" not in answer.text.lower()


def test_a_pop_speaks_for_itself_alone(plane, browser):
    """The name in the body is held against the certificate's; an operator's is not a POP's."""
    other = Caller(plane.mesh_app, SpiffeId.of("ui-tools", "edge", "osaka-1"))
    own = Caller(plane.mesh_app, SpiffeId.of("ui-tools", "edge", POP))
    visitor = browser()
    visitor.grant("contextual")
    refresh = write_request(RefreshRequest(visitor.session, "EU", False, POP))
    withdrawal, rows = write_row(visitor.row()), write_rows([visitor.row(), visitor.row("contextual")])
    calls = [
        ("POST", "/v1/consents", write_request(browser().request("contextual"))),
        ("POST", "/v1/consents/-/refresh", refresh),
        ("DELETE", "/v1/consents/-", withdrawal),
        ("POST", f"/v1/pops/{POP}/status", write_status(PopStatus(None, 0))),
    ]

    assert [error(other(method, path, content=body)) for method, path, body in calls] == [(403, "pop-mismatch")] * 4
    refused = read_answers(other("POST", "/v1/withdrawals", content=rows).content, [row["key"] for row in lines(rows)])
    assert [answer.code for answer in refused] == ["pop-mismatch"] * 2
    assert all(own(method, path, content=body).is_success for method, path, body in calls)


@pytest.mark.parametrize("role", ["operator", "device", "control-plane"])
def test_only_an_edge_asks_for_a_visitors_consent(plane, browser, role):
    """The credential alone is not enough: who reads a record must be an edge, whatever the policy in force says."""
    visitor = browser()
    visitor.grant("contextual")
    header = {"Consent-Session": visitor.session}

    other = Caller(plane.mesh_app, SpiffeId.of("ui-tools", role, POP))
    assert error(other("GET", "/v1/consents/-", headers=header)) == (403, "forbidden-route")
    edge = Caller(plane.mesh_app, SpiffeId.of("ui-tools", "edge", POP))
    assert read_answer(edge("GET", "/v1/consents/-", headers=header).content).sub == visitor.sub


def lines(body):
    return [json.loads(line) for line in body.splitlines()]


def test_polls_are_signed_and_bound_to_their_nonce(plane, mesh):
    """The answer over HTTP is what a POP verifies."""
    body = mesh("GET", "/v1/revocations?after=0&nonce=abc").content

    assert open_answer(body, plane.keys.trust_file(), "abc", after=0, now=0, revoked=frozenset()).head == 1


def test_too_old_is_gone_with_a_snapshot(plane, mesh, browser):
    """410, and everything one needs to go on."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    visitor.withdraw()
    plane.settings.clock.advance(ROWS_GONE_S + 1)
    plane.sweep()
    answer = mesh("GET", "/v1/revocations?after=0&nonce=abc")

    assert answer.status_code == 410
    assert open_snapshot(answer.content, plane.keys.trust_file(), "abc", now=0, revoked=frozenset()).through == 2


def test_the_bundle_is_fetched_once(plane, mesh):
    """`ETag` and `If-None-Match`; the bytes are the signed bundle in force."""
    first = mesh("GET", "/v1/policy/bundle")
    etag = first.headers["etag"]
    again = mesh("GET", "/v1/policy/bundle", headers={"If-None-Match": f'"other", {etag}'})
    changed = mesh("GET", "/v1/policy/bundle", headers={"If-None-Match": '"other"'})

    assert etag == f'"{sha256_digest(first.content)}"'
    assert (
        open_bundle(first.content, plane.keys.trust_file(), min_revision=1, now=0, revoked=frozenset()).hash
        == first.headers["policy-hash"]
    )
    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200


def test_the_key_set_validates_tokens_over_a_rotation(plane, mesh, browser):
    """Overlap: both keys are published, old and new tokens verify; after it the old key is gone."""
    visitor = browser()
    old = visitor.grant("contextual").token
    mesh("POST", "/v1/keys/token/rotate?overlap_s=600")
    new = visitor.refresh().token
    keys = read_jwks(mesh("GET", "/.well-known/jwks.json").content)
    expected = Expectation(plane.keys.trust_file().issuer, "edge", plane.settings.clock.now(), 0)

    assert [validate(token, keys, expected, verify_signature).ver for token in (old, new)] == [1, 1]
    plane.settings.clock.advance(600)
    keys = read_jwks(mesh("GET", "/.well-known/jwks.json").content)
    assert len(keys) == 1
    with pytest.raises(Rejected, match="no key"):
        validate(old, keys, expected, verify_signature)


@pytest.mark.parametrize("rotated", [False, True], ids=["in-use", "in-overlap"])
def test_a_revoked_key_leaves_the_key_set_at_once(plane, mesh, rotated):
    """By the same route and the same log as everything else that must stop, whether it still signs or not."""
    kid = plane.keys.current("token").kid
    if rotated:
        plane.keys.rotate("token", overlap_s=600)
    answer = mesh("POST", "/v1/revocations", json={"kind": "key", "kid": kid})

    assert (answer.json()["kind"], answer.json()["subject"], answer.json()["effect"]) == ("key", kid, "distrust")
    published = [key.kid for key in read_jwks(mesh("GET", "/.well-known/jwks.json").content)]
    assert published == [plane.keys.current("token").kid] != [kid]


@pytest.mark.parametrize("named", ["sub", "subject"])
def test_a_purge_collects_a_receipt_from_each_pop(plane, mesh, browser, named):
    """`edge purge`: who has erased, who still owes; a receipt for something else is no evidence."""
    visitor, answer = granted(mesh, browser, *CATEGORIES)
    subject = subject_of(answer.sub)
    body = {"kind": "purge", named: answer.sub if named == "sub" else subject}
    seq = mesh("POST", "/v1/revocations", json=body).json()["seq"]
    now = plane.settings.clock.now()
    good = PurgeReceipt(seq, subject, now, {"history": 3})
    for pop, receipts in {"tokyo-1": (good,), "osaka-1": (PurgeReceipt(seq, "ab" * 32, now, {}),)}.items():
        status = write_status(PopStatus(None, seq, receipts=receipts))
        assert [mesh("POST", f"/v1/pops/{pop}/status", content=status).status_code for _ in range(2)] == [204, 204]
    state = mesh("GET", f"/v1/revocations/{seq}/receipts").json()

    assert (state["entry"]["subject"], state["entry"]["effect"]) == (subject, "erase")
    assert state["pops"] == [
        {"pop": "osaka-1", "receipt": None},
        {"pop": "tokyo-1", "receipt": {"at": now, "deleted": {"history": 3}}},
    ]
    assert visitor.sub not in json.dumps(state)


def test_reports_say_who_is_current_since_when_and_what_was_refused(plane, mesh):
    """`edge policy status`: since is when the hash was first reported, not the last report."""
    current = plane.policies.bundle().hash
    report = write_status(
        PopStatus(current, 1, {"contextual": "model-v1"}, "7:" + "ab" * 32, (), {"bundle-signature": 2})
    )
    old = write_status(PopStatus("sha256:" + "0" * 64, 0))
    mesh("POST", "/v1/pops/tokyo-1/status", content=report)
    mesh("POST", "/v1/pops/osaka-1/status", content=old)
    first = plane.settings.clock.now()
    plane.settings.clock.advance(30)
    mesh("POST", "/v1/pops/tokyo-1/status", content=report)
    status = mesh("GET", "/v1/pops").json()
    osaka, tokyo = status["pops"]

    assert (status["policy_hash"], status["head"]) == (current, 1)
    assert (tokyo["current"], tokyo["policy_since"], tokyo["reported_at"]) == (True, first, first + 30)
    assert (tokyo["untrusted"], tokyo["releases"]) == ({"bundle-signature": 2}, {"contextual": "model-v1"})
    assert (osaka["current"], osaka["behind"]) == (False, 1)
    assert mesh("GET", "/v1/pops/tokyo-1/status").json() == tokyo


def test_the_documentation_is_complete_and_local(public):
    """Every route of both listeners; no address outside this server."""
    page = public("GET", "/docs")
    described = public("GET", "/openapi.json").json()
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert "/v1/consents/{sub}/refresh" in described["paths"]
    assert "/v1/revocations/stream" in described["paths"]
    request = described["paths"]["/v1/consents"]["post"]["requestBody"]
    assert "next_session" in request["content"]["application/json"]["schema"]["properties"]
    assert assets
    assert all(address.startswith("/docs/assets/") for address in assets)
    assert all(public("GET", address).status_code == 200 for address in assets)
    assert "https://" not in page.text


def test_the_public_listener_has_no_route_of_the_mesh(public):
    """Consent, revocations and keys are reachable with a certificate only."""
    for path in ("/v1/consents/-", "/v1/revocations", "/.well-known/jwks.json", "/v1/pops"):
        assert error(public("GET", path)) == (404, "route-unknown")
    assert public("GET", "/healthz").json() == {"status": "ok"}


def test_browsers_are_told_apart_by_their_session_only(plane, mesh):
    """The session of one visitor in the path of another: 403, whatever the body says."""
    one, other = Browser(plane), Browser(plane)
    one.grant("contextual")
    other.grant("contextual")
    refresh = write_request(RefreshRequest(one.session, "EU", False, POP))

    assert error(mesh("POST", f"/v1/consents/{other.sub}/refresh", content=refresh)) == (403, "session-foreign")


def test_a_purge_of_somebody_unknown_says_so(plane, mesh, browser):
    """No entry is made of a typing error; a second purge of the same person finds the first one."""
    head = plane.log.head()
    answer = mesh("POST", "/v1/revocations", json={"kind": "purge", "subject": "ab" * 32})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "visitor-unknown")
    assert plane.log.head() == head

    _, granted_answer = granted(mesh, browser, *CATEGORIES)
    body = {"kind": "purge", "sub": granted_answer.sub}
    first, second = (mesh("POST", "/v1/revocations", json=body).json()["seq"] for _ in range(2))
    assert first == second


def test_a_receipt_names_nobody_and_says_what_ends(plane, mesh, browser):
    """What the control plane keeps of a receipt has no subject; parts that cannot be cut are listed with their date."""
    _, answer = granted(mesh, browser, *CATEGORIES)
    seq = mesh("POST", "/v1/revocations", json={"kind": "purge", "sub": answer.sub}).json()["seq"]
    now, subject, ends = plane.settings.clock.now(), subject_of(answer.sub), {"log_answers": "2027-01-30"}
    status = PopStatus(None, seq, receipts=(PurgeReceipt(seq, subject, now, {"history": 3}, ends),))
    assert mesh("POST", "/v1/pops/tokyo-1/status", content=write_status(status)).status_code == 204

    with plane.database.read() as connection:
        assert connection.scalars(select(purge_receipts.c.subject)).all() == [""]
        assert connection.scalars(select(queue.c.body)).all() == []
    (told,) = mesh("GET", f"/v1/revocations/{seq}/receipts").json()["pops"]
    assert told["receipt"] == {"at": now, "deleted": {"history": 3}, "ends": ends}
