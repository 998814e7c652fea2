"""Pages that people read for their rights, in Chromium: what a visitor asks at, and what an operator answers from."""

import pytest

from consent_core.clock import ManualClock
from edge_cli.portal.server import serving
from tests.e2e.test_why import AXE, RUN_AXE
from tests.edge_cli.test_portal import EVERY, NOW, ControlPlane

from .conftest import PICTURES

pytestmark = pytest.mark.browser

LOOKS = [(width, scheme) for width in (390, 1_440) for scheme in ("light", "dark")]
FITS = "document.documentElement.scrollWidth <= innerWidth"


def looked_at(browser, url, width, scheme, language="en-US"):
    """The page, seen by one who is given this address."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale=language, java_script_enabled=True
    )
    page = context.new_page()
    page.goto(url)
    return page


def faults(page, name):
    """What axe finds, and whether something scrolls sideways; a picture to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    page.evaluate((AXE / "axe.min.js").read_text())
    found = page.evaluate(RUN_AXE)
    fits = page.evaluate(FITS)
    page.context.close()
    return found, fits


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_portal_is_for_everybody(browser, width, scheme):
    """axe finds nothing; only the grid of steps scrolls sideways."""
    with serving(ControlPlane(EVERY), ManualClock(NOW)) as running:
        page = looked_at(browser, running.entrance, width, scheme)
        assert page.locator("article").count() == len(EVERY)
        assert faults(page, f"portal-{width}-{scheme}") == ([], True)


@pytest.mark.parametrize("language", ["en-US", "ja-JP"])
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_rights_page_is_for_everybody(shop, browser, width, scheme, language):
    """The same of a visitor's own page, in both languages, with a request that was made by a plain form."""
    page = looked_at(browser, f"{shop.eu}/v1/consent/privacy", width, scheme, language)
    page.evaluate("fetch('/v1/consent', {method: 'POST', headers: {'content-type': 'application/json'},"
                  " body: JSON.stringify({grant: ['contextual']})}).then(answer => answer.text())")  # fmt: skip
    page.reload()
    page.locator("input[value=access] ~ p button").click()
    page.wait_for_selector("section[aria-labelledby=code]")

    assert faults(page, f"rights-{width}-{scheme}-{language[:2]}") == ([], True)
