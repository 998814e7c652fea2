"""The dashboard in a browser: readable on a phone and on a desk, light and dark, without an error of accessibility."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from control_plane.dashboard.scraping import Pages
from control_plane.health import health_of
from control_plane.metrics import admin_application
from latency_gate.browser import chromium
from tests.control_plane.conftest import Caller
from tests.control_plane.test_dashboard import MODELS, counted, reported

AXE = Path(__file__).parents[1] / "consent_sdk" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = Path("build/screenshots")
WIDTHS = {"phone": (390, 844), "desk": (1440, 900)}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    """One headless Chromium for this file, as the gate starts it."""
    with chromium() as made:
        yield made


@pytest.fixture
def answers(plane):
    """What the admin listener of a deployment with two POPs answers, one of them with an older policy."""
    reported(plane)
    reported(plane, "osaka-1", f"sha256:{'1' * 64}")
    slow = counted("osaka-1", lcp_s=2.4, model=MODELS[1])
    pages = Pages({}, {"tokyo-1": counted(), "osaka-1": slow})
    admin = Caller(admin_application(plane, health_of(plane), pages))
    with ThreadPoolExecutor(1) as elsewhere:  # while a browser is open no other event loop can run in this thread
        paths = ("/", "/now", "/dashboard.css", "/dashboard.js")
        return dict(zip(paths, elsewhere.map(partial(admin, "GET"), paths), strict=True))


@pytest.fixture
def opened(browser, answers):
    """Opens the dashboard; nothing may have failed or been refused by its policy."""
    contexts, failures = [], []

    def answer(route):
        reply = answers[route.request.url.removeprefix("http://control-plane")]
        route.fulfill(status=reply.status_code, headers=dict(reply.headers), body=reply.content)

    def open_page(width, scheme):
        size = {"width": width[0], "height": width[1]}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda message: failures.append(message.text))
        page.route("http://control-plane/**", answer)
        page.goto("http://control-plane/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert failures == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_and_nothing_is_cut_off(opened, width, scheme):
    """At 390 and 1440 pixels; what is wider than the window would have to be scrolled to."""
    page = opened(WIDTHS[width], scheme)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"dashboard-{width}-{scheme}.png", full_page=width == "phone")
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")

    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
