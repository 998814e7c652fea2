"""The mesh listener: who may have a decision rendered, and what a hint is worth."""

import json

import pytest

from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa
from tests.runtime_host.pop.edge import TOKEN_COOKIE, Reply
from tests.runtime_host.pop.shop import HERO


@pytest.fixture
def calls(shop, tmp_path):
    """Call the mesh application as a workload of the shop's trust domain, or as nobody."""
    ca = DevelopmentCa.open(tmp_path / "ca", "ui-tools", create=True, clock=shop.clock)

    async def call(path, value, who, token=None):
        headers = [(b"content-type", b"application/json")]
        if token is not None:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        if who is not None:
            pem = ca.issue(SpiffeId.parse(f"spiffe://ui-tools/{who}")).chain_pem.decode()
            scope["extensions"] = {"tls": {"client_cert_chain": (pem,)}}
        sent = []
        incoming = [{"type": "http.request", "body": json.dumps(value).encode(), "more_body": False}]

        async def receive():
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await shop.pop.mesh_app(scope, receive, send)
        return Reply(sent[0]["status"], list(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:]))

    return call


@pytest.fixture
def token(shop, run):
    visitor = shop.browser()
    run(visitor.grant("contextual"))
    return visitor.jar[TOKEN_COOKIE][0]


def wanted_render(scope="contextual", region="tokyo-1", slot="home-hero"):
    return {"slot": slot, "payload": {"scope": scope, "context": {"section": "camping"}}, "region": region}


def test_an_edge_may_render_what_its_token_allows(shop, calls, run, token):
    """The same decision as the visitor's own browser gets."""
    reply = run(calls("/v1/render", wanted_render(), "edge/tokyo-1", token))
    visitor = shop.browser(authorization=f"Bearer {token}")

    assert reply.status == 200
    assert reply.json() == run(visitor.ask("GET", HERO)).json()


@pytest.mark.parametrize(
    ("who", "asked", "with_token", "status"),
    [
        (None, wanted_render(), True, 401),
        ("edge/osaka-1", wanted_render(), True, 403),
        ("device/tokyo-1", wanted_render(), True, 403),
        ("operator/tokyo-1", wanted_render(), True, 403),
        ("edge/tokyo-1", wanted_render(scope="behavioral"), True, 403),
        ("edge/tokyo-1", wanted_render(scope="everything"), True, 403),
        ("edge/tokyo-1", wanted_render(), False, 403),
        ("edge/osaka-1", wanted_render(region="osaka-1"), True, 403),
        ("edge/tokyo-1", {"slot": "home-hero"}, True, 400),
        ("edge/tokyo-1", wanted_render(slot="no-such-slot"), True, 404),
    ],
)
def test_everybody_and_everything_else_is_refused(calls, run, token, who, asked, with_token, status):
    """By the policy in force, by the token, by the region, by the catalogue."""
    assert run(calls("/v1/render", asked, who, token if with_token else None)).status == status


def test_a_purge_is_only_a_hint(shop, calls, run, token):
    """It makes the POP look into the log; what it says itself changes nothing."""
    woken = []
    shop.pop.sync._poll_task.wake = lambda: woken.append(1)
    refused = run(calls("/v1/purge", {}, "edge/osaka-1"))
    heard = run(calls("/v1/purge", {"subject": "everybody"}, "control-plane/main"))

    assert (refused.status, heard.status, len(woken)) == (403, 202, 1)
    assert run(shop.browser(authorization=f"Bearer {token}").shown()) == "contextual"


def test_without_a_policy_nobody_may_call(shop, calls, run, token):
    """Default deny until a bundle is in force."""
    shop.pop.sync._policy.active = None

    assert run(calls("/v1/purge", {}, "control-plane/main")).status == 503
