"""The shop as a visitor sees it: defaults, each category alone, withdrawal, back and forward."""

import contextlib
import re
import time

import httpx
import pytest

from .conftest import Visit

pytestmark = pytest.mark.browser

SLOT_OF = {"contextual": "home-hero", "behavioral": "member-banner", "experimental": "promo-tile"}


HIDE = """() => {
  Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
  delete document.hidden;
}"""


def look(visit):
    return {slot: visit.pixels(slot) for slot in SLOT_OF.values()}


def test_without_consent_everything_is_the_default(visit):
    """A first visit shows defaults and switches that are off."""
    visit.open()
    visit.screenshot("1-defaults")

    assert set(visit.assets().values()) == {"default"}
    assert visit.page.locator(".consent input:checked").count() == 0


@pytest.mark.parametrize("category", SLOT_OF)
def test_granting_one_category_changes_its_own_slot_only(visit, category):
    """The picture of that category changes without a reload; the other two stay as they were, pixel for pixel."""
    visit.open()
    visit.page.evaluate("window.sameDocument = true")
    before = look(visit)
    visit.toggle(category)
    after = look(visit)
    visit.screenshot(f"2-{category}")

    assert visit.page.evaluate("window.sameDocument") is True
    assert {slot for slot in before if before[slot] != after[slot]} == {SLOT_OF[category]}


def test_a_swap_never_reuses_an_address(visit):
    """Default, personalised and default again are three addresses in the page's life, none set twice in a row."""
    visit.open()
    seen = [visit.shown()["home-hero"]]
    for _ in range(2):
        visit.toggle("contextual")
        seen.append(visit.shown()["home-hero"])

    assert len(set(seen)) == 3


def test_what_the_page_measured_reaches_the_metrics_page(visit, shop):
    """By consent state and by the model that decided, from a browser and without a cookie."""
    sent = []
    visit.page.on("request", lambda request: request.url.endswith("/v1/vitals") and sent.append(request))
    visit.open()
    visit.toggle("contextual")
    swapped = r'consent_edge_swap_to_paint_seconds_count\{model="[0-9a-f]{12}",[^}]*state="contextual"\} [1-9]'
    painted = r'consent_edge_lcp_seconds_count\{model="none",[^}]*state="default"\} [1-9]'
    deadline = time.monotonic() + 240
    page = ""
    while not (sent and re.search(swapped, page) and re.search(painted, page)):  # earlier pages are counted there too
        assert time.monotonic() < deadline, page
        visit.page.evaluate(HIDE)
        visit.page.wait_for_timeout(50)
        page = httpx.get(f"{shop.fleet.admin_url('frankfurt-1')}/metrics", timeout=60).text

    assert not any("cookie" in request.all_headers() for request in sent)


def test_the_dashboard_reads_every_pop(shop):
    """The control plane shows each POP as it reports itself and as its page counts."""
    deadline, text = time.monotonic() + 240, ""
    while text.count("pages open") < 2 or "never reported" in text:
        assert time.monotonic() < deadline, text
        with contextlib.suppress(httpx.TransportError):  # the admin listener begins after the others
            text = httpx.get(f"{shop.fleet.dashboard_url}/now", timeout=60).text
        time.sleep(0.2)

    assert all(name in text for name in ("frankfurt-1", "san-jose-1"))


def test_withdrawing_brings_the_default_back(visit):
    """What was personalised looks again as it did before consent."""
    visit.open()
    before = look(visit)
    visit.toggle("contextual")
    visit.toggle("contextual")
    visit.screenshot("3-withdrawn")

    assert look(visit) == before


def test_after_withdrawal_back_and_forward_show_the_default(visit):
    """Neither the back/forward cache nor the HTTP cache brings a personalised picture back."""
    visit.open()
    before = visit.pixels("home-hero")
    visit.toggle("contextual")
    visit.open("/gear.html")
    visit.toggle("contextual")
    visit.page.go_back()
    visit.ready()
    visit.until_shows("home-hero", "Category", "default")
    back = visit.pixels("home-hero")
    visit.page.go_forward()
    visit.ready()

    assert back == before
    assert visit.assets()["member-banner"] == "default"


def test_the_first_paint_is_already_personalised(visit):
    """With the cookie set, the picture in the HTML itself is the visitor's: no script is needed."""
    visit.open().toggle("contextual")
    chosen = visit.pixels("home-hero")
    visit.page.route("**/shop.js", lambda route: route.abort())
    visit.page.goto(visit.home + "/")

    assert visit.pixels("home-hero") == chosen


def test_another_tab_follows(visit):
    """A change in one tab reaches the other open page by the stream."""
    visit.open()
    other = type(visit)(visit.page.context.new_page(), visit.home).open()
    other.toggle("contextual")
    visit.until_shows("home-hero", "Category", "contextual")

    assert visit.page.locator(".consent input[name=contextual]").is_checked()


def test_a_purchase_changes_the_member_banner(visit):
    """With behavioral consent the banner follows what was bought, here; withdrawal forgets it."""
    visit.open("/gear.html")
    default = visit.pixels("member-banner")
    visit.toggle("behavioral")
    visit.page.locator("[data-buy=tent-two]").click()
    visit.until("document.querySelector('[data-buy=tent-two]').dataset.done === 'true'")
    decided = visit.page.evaluate(
        "async () => (await fetch('/v1/slots/member-banner?path=/gear.html&section=camping')).json()"
    )
    visit.until_shows("member-banner", "Asset", decided["asset"])
    visit.screenshot("4-purchase")
    bought = visit.pixels("member-banner")
    visit.toggle("behavioral")

    assert decided["category"] == "behavioral"
    assert bought != default
    assert visit.pixels("member-banner") == default


def test_global_privacy_control_is_honoured_and_shown_in_california(shop, browser):
    """With Sec-GPC: 1 behavioral stays off after every choice, the panel says so, and the receipt records it."""
    context = browser.new_context(extra_http_headers={"Sec-GPC": "1"}, viewport={"width": 1280, "height": 1180})
    page = context.new_page()
    visitor = Visit(page, shop.california).open()
    visitor.toggle("behavioral")
    visitor.screenshot("5-gpc-california")
    state = page.evaluate("async () => (await fetch('/v1/consent')).json()")
    context.close()

    assert "behavioral" not in state["categories"]
    assert state["gpc_honoured"] is True
