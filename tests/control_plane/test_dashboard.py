"""The dashboard says whether the promises are kept, by figures of the deployment, none of a person."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from consent_core.formats.status import read_status
from consent_core.telemetry.metrics import Metrics
from consent_core.telemetry.prometheus import page
from control_plane.dashboard.figures import FEWEST, distribution, quantile
from control_plane.dashboard.page import GAP, content, seconds
from control_plane.dashboard.scraping import Pages, read_page
from control_plane.dashboard.stored import stored_of
from control_plane.health import health_of
from control_plane.metrics import admin_application
from tests.control_plane.conftest import Caller

MODELS = ("4f7d01a2c93e", "b81c5512ff06")


def counted(pop="tokyo-1", lcp_s=0.8, views=40, model=MODELS[0]):
    """The samples of a POP whose pages report these paints."""
    metrics = Metrics("pop", pop)
    for number in range(views):
        spread = 0.8 + 0.4 * (number % 10) / 10
        for state, named in (("default", "none"), ("contextual", model)):
            metrics.histogram("consent_edge_lcp_seconds").observe(lcp_s * spread, "page", state, named)
            metrics.histogram("consent_edge_inp_seconds").observe(0.06 * spread, "page", state, named)
        metrics.histogram("consent_edge_swap_to_paint_seconds").observe(0.2 * spread, "home-hero", "contextual", model)
        metrics.histogram("consent_edge_consent_sync_delay_seconds").observe(0.05 * spread, "session")
    for name, count in (("asset_cache", 950), ("decision_memo", 720), ("token_cache", 860)):
        metrics.watch(f"consent_edge_{name}_hits", lambda count=count: count)
        metrics.watch(f"consent_edge_{name}_misses", lambda count=count: 1000 - count)
    metrics.watch("consent_edge_streams", lambda: 3)
    metrics.watch_each("consent_edge_health", lambda: {("clock-off", "stay"): 0.0})
    return read_page(page(metrics).decode())


def reported(plane, pop="tokyo-1", policy=None):
    """A POP's own report at the control plane."""
    policy = policy or plane.pops.statuses()["policy_hash"]
    status = {"policy_hash": policy, "revocation_seq": 0, "releases": {}, "audit_head": None, "receipts": []}
    plane.pops.report(pop, read_status(json.dumps(status).encode()))


def shown(plane, **pages):
    text = content(stored_of(plane), {name.replace("_", "-"): samples for name, samples in pages.items()})
    return text.replace(GAP, " ")


def test_nothing_is_said_before_there_is_enough(plane):
    """One page alone would be the P95."""
    few = shown(plane, tokyo_1=counted(views=FEWEST - 1))

    assert few.count("not enough yet") == 5
    assert f"{FEWEST - 1} of {FEWEST} views" in few
    assert "Every promise that has figures is kept" in few


def test_a_broken_promise_is_named_first(plane):
    """By the slowest consent state and model, not by everybody's average."""
    samples = (*counted(lcp_s=0.4, views=400), *counted(lcp_s=4.0, model=MODELS[1]))

    assert "Not kept: Largest paint" in shown(plane, tokyo_1=samples)
    assert "Not kept" not in shown(plane, tokyo_1=counted(lcp_s=0.4))


def test_a_place_says_what_is_wrong_with_it(plane):
    """An older policy, a page that does not answer, silence, and what was never heard of."""
    reported(plane)
    assert "well" in shown(plane, tokyo_1=counted())
    assert "its page does not answer" in shown(plane, tokyo_1=None)
    assert "never reported" in shown(plane, osaka_1=None)
    reported(plane, policy=f"sha256:{'1' * 64}")
    assert "older policy" in shown(plane, tokyo_1=counted())
    plane.settings.clock.advance(3_600)
    assert "silent for 60 min" in shown(plane, tokyo_1=counted())


def test_what_a_page_says_is_text_and_no_markup(plane):
    """A POP that lies can name its series as it likes."""
    hostile = "<script>alert(1)</script>"
    text = shown(plane, tokyo_1=counted(model=hostile), **{hostile: None})

    assert hostile not in text
    assert "&lt;script&gt;" in text


def test_the_quantile_is_prometheus_own():
    """Interpolated within the bucket; what is beyond the last bound is at least that bound."""
    samples = counted(lcp_s=1.0, views=100)
    figure = quantile(distribution(samples, "consent_edge_lcp_seconds", state="default"), 0.95)

    assert (figure.count, 0.8 < figure.value <= 1.2) == (100, True)
    beyond = distribution(counted(lcp_s=100.0), "consent_edge_lcp_seconds", state="default")
    assert quantile(beyond, 0.95).value == 8.0
    assert quantile({}, 0.95).value is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 ms"),
        (0.0421, "42 ms"),
        (1.234, "1.2 s"),
        (75, "75 s"),
        (3_600, "60 min"),
        (90_000, "25 h"),
        (1e6, "12 days"),
    ],
)
def test_a_duration_is_said_in_the_unit_of_a_person(value, text):
    """Never 0.042 s, never 1e+06."""
    assert seconds(value).replace(GAP, " ") == text


@pytest.mark.parametrize(
    "answer", [httpx.Response(500), httpx.Response(200, text="no { page"), httpx.ConnectError("away")]
)
def test_a_page_that_cannot_be_read_has_no_figures(answer):
    """And the ones of before are not shown as if they were of now."""
    pages = Pages({"tokyo-1": "http://127.0.0.1:8881/metrics"}, {"tokyo-1": counted()})

    def respond(_):
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def look():
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
            await pages.look(client, "tokyo-1")

    asyncio.run(look())
    assert pages.latest == {"tokyo-1": None}


@pytest.mark.parametrize("text", ["tokyo-1", "tokyo-1=ftp://host/metrics", "Tokyo=http://host/metrics", "=http://host"])
def test_an_address_that_is_none_is_refused(settings, text):
    """At the start, by the setting's name."""
    with pytest.raises(ValueError, match="pop_pages"):
        replace(settings, pop_pages=(text,))


def test_the_page_runs_no_script_but_its_own(plane):
    """Nothing inline, nothing from elsewhere; every part has an address."""
    admin = Caller(admin_application(plane, health_of(plane), Pages({})))
    answers = {path: admin("GET", path) for path in ("/", "/now", "/dashboard.css", "/dashboard.js")}

    assert {answer.status_code for answer in answers.values()} == {200}
    policy = answers["/"].headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert "style=" not in answers["/"].text
