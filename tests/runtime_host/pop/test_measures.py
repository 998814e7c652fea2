"""Vitals and metrics: closed labels, and no metric ever carries a visitor."""

import re

import pytest

from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.serving.routes.reports import models_by_category
from tests.runtime_host.pop.edge import ask, visitor


@pytest.mark.parametrize(
    "vital",
    [
        {"name": "LCP", "value": -1},
        {"name": "LCP", "value": 1e9},
        {"name": "LCP", "value": True},
        {"name": "LCP", "value": "1"},
        {"name": "lcp", "value": 1},
        {"name": "LCP", "value": 1, "slot": "someone@example.org"},
        {"name": "LCP", "value": 1, "state": "AAECAwQFBgcICQoLDA0ODw"},
        {"name": "LCP", "value": 1, "visitor": "me"},
        {"name": "LCP", "value": 1, "model": "someone@example.org"},
        {"name": "LCP", "value": 1, "model": 1},
        {"name": "impression"},
        {"name": "impression", "slot": "page"},
        {"name": "impression", "slot": "home-hero", "value": 1},
        {"name": "purchase", "slot": "home-hero"},
        {"vitals": [{"name": "LCP", "value": 1}] * 21},
    ],
)
def test_a_vital_outside_the_lists_is_refused(edge, run, vital):
    """Names, slots and states are from closed lists; values are believable numbers."""
    reply = run(edge.send("POST", "/v1/vitals", vital))

    assert (reply.status, reply.json()["error"]["code"]) == (400, "bad-request")


def test_vitals_show_on_the_metrics_page(edge, run):
    """Sorted by slot and consent state; a prerendered page does not count."""
    vital = {"name": "LCP", "value": 0.4, "slot": "home-hero", "state": "contextual"}
    run(edge.send("POST", "/v1/vitals", {"vitals": [vital, vital]}))
    run(edge.send("POST", "/v1/vitals", vital, sec_purpose="prefetch;prerender"))
    reply = run(ask(edge.pop.admin_app, "GET", "/metrics"))

    assert reply.header("content-type").startswith("text/plain")
    count = 'consent_edge_lcp_seconds_count{model="other",pop="tokyo-1",slot="home-hero",state="contextual"} 2.0'
    assert count in reply.body.decode()


def test_a_model_is_one_that_decides_here_or_other(edge, run):
    """What a page calls itself makes no series; a default has no model, also where the page names one."""
    model = models_by_category(edge.pop.pipeline.decider.personalizers)["contextual"]
    for state, named in (("contextual", model), ("contextual", "0" * 12), ("contextual", "1" * 12), ("default", model)):
        run(edge.send("POST", "/v1/vitals", {"name": "INP", "value": 0.1, "state": state, "model": named}))
    page = run(ask(edge.pop.admin_app, "GET", "/metrics")).body.decode()

    def count(model, state):
        return f'consent_edge_inp_seconds_count{{model="{model}",pop="tokyo-1",slot="page",state="{state}"}}'

    assert f"{count(model, 'contextual')} 1.0" in page
    assert f"{count('other', 'contextual')} 2.0" in page
    assert f"{count('none', 'default')} 1.0" in page
    assert "111111111111" not in page


def test_what_was_shown_and_clicked_is_counted_without_a_name(edge, run):
    """By slot, consent state and model; nothing is kept of a visitor whose cookie came along."""
    token = edge.token(*CATEGORIES)
    shown = {"slot": "home-hero", "state": "contextual"}
    reports = [{"name": "impression", **shown}, {"name": "impression", **shown}, {"name": "click", **shown}]
    reply = run(edge.send("POST", "/v1/vitals", {"vitals": reports}, token))
    page = run(ask(edge.pop.admin_app, "GET", "/metrics")).body.decode()

    labels = 'model="other",pop="tokyo-1",slot="home-hero",state="contextual"'
    assert reply.status == 204
    assert f'consent_edge_showings_total{{kind="impression",{labels}}} 2.0' in page
    assert f'consent_edge_showings_total{{kind="click",{labels}}} 1.0' in page
    assert edge.pop.store.history.read(subject_of("A" * 22), "behavioral") == ()


def test_no_metric_names_a_visitor(edge, run):
    """After every kind of request of many visitors, nothing on the page could be one."""
    for number in range(12):
        token = edge.token(*CATEGORIES, sub=visitor(number), jti=f"jti-{number}")
        run(edge.get("/v1/slots/home-hero?section=camping", token))
        run(edge.get("/v1/images/member-banner", token))
        run(edge.get(f"/v1/images/{visitor(number)}", token))
        run(edge.get(f"/{visitor(number)}", token))
        run(edge.get("/v1/slots/home-hero", f"{number}" * 40))
        run(edge.send("POST", "/v1/events", {"kind": "click", "item": f"i{visitor(number)}x"}, token))
    page = run(ask(edge.pop.admin_app, "GET", "/metrics")).body.decode()

    for number in range(12):
        assert visitor(number) not in page
        assert subject_of(visitor(number)) not in page
        assert f"jti-{number}" not in page
    assert not re.search(r'"[A-Za-z0-9_-]{22,}"', page)


def test_the_expected_metrics_are_there(edge, run):
    """The names of CONTRACTS section 10 that a POP owns."""
    token = edge.token("contextual")
    run(edge.get("/v1/images/home-hero?section=camping", token))
    run(edge.get("/v1/images/home-hero?section=camping", token))
    run(edge.get("/v1/slots/home-hero", "rubbish"))
    page = run(ask(edge.pop.admin_app, "GET", "/metrics")).body.decode()

    assert 'consent_edge_decision_seconds_count{pop="tokyo-1",slot="home-hero",state="contextual"} 2.0' in page
    assert 'consent_edge_sandbox_seconds_count{component="personalization",pop="tokyo-1"} 1.0' in page
    assert 'consent_edge_rejected_total{code="token-malformed",pop="tokyo-1"} 1.0' in page
    assert 'consent_edge_asset_cache_hits_total{pop="tokyo-1"} 1.0' in page
    assert 'consent_edge_token_cache_hits_total{pop="tokyo-1"} 1.0' in page
    assert 'consent_edge_decision_memo_hits_total{pop="tokyo-1"} 1.0' in page
    assert 'consent_edge_in_sync{pop="tokyo-1"} 1.0' in page


def test_readiness_follows_sync(edge, run):
    """Out of sync is a reason to look at it and none to take it out: all POPs lose a control plane together."""
    ready = run(ask(edge.pop.admin_app, "GET", "/readyz"))
    edge.clock.advance(61)
    late = run(ask(edge.pop.admin_app, "GET", "/readyz"))

    assert (ready.status, late.status) == (200, 200)
    assert ready.json()["stay"] == {}
    assert list(late.json()["stay"]) == ["control-plane-away"]
    assert ready.json()["policy_revision"] == 1
    assert run(edge.get("/healthz")).json() == {"ok": True}
    assert run(edge.get("/metrics")).status == 404
