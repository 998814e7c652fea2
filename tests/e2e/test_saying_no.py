"""After the promise of a no, nothing personalised is on screen or comes back: the whole product in Chromium."""

import pytest

from .conftest import Visit

pytestmark = pytest.mark.browser

HERO = (
    '<img data-consent-slot="home-hero" data-consent-context="path=/&amp;section=water&amp;tags=coast,kayak"'
    ' src="/v1/images/home-hero?w=768&amp;path=/&amp;section=water&amp;tags=coast,kayak"'
    ' width="768" height="432" alt="">'
)
SOURCE = '<source srcset="/v1/images/home-hero?w=1200&amp;path=/&amp;section=water&amp;tags=coast,kayak">'
PAGE = (
    '<!doctype html><title>Page</title><link rel="icon" href="data:,"><body>{}'
    '<script type="module" src="/own.js"></script>'
)
SCRIPT = """import { connect } from "/sdk/consent-edge.js";
window.consent = await connect();
document.documentElement.dataset.consentReady = "true";"""
WORKER = """addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => event.request.method === "GET" && event.respondWith((async () => {
  const cache = await caches.open("all");
  const found = await cache.match(event.request);
  if (found) return found;
  const answer = await fetch(event.request);
  const kept = answer.ok && /v1[/](images|renditions|slots)/.test(event.request.url);
  if (kept) await cache.put(event.request, answer.clone());
  return answer;
})()));"""


@pytest.fixture
def own(visit):
    """Serve pages of our own on the shop's origin: /own.html, /picture.html."""
    pages = {
        "/own.html": ("text/html", PAGE.format(HERO)),
        "/picture.html": ("text/html", PAGE.format(f"<picture>{SOURCE}{HERO}</picture>")),
        "/own.js": ("text/javascript", SCRIPT),
        "/worker.js": ("text/javascript", WORKER),
    }
    for path, (kind, text) in pages.items():
        visit.page.context.route(f"**{path}", answering(kind, text))
    return visit


def answering(kind: str, text: str):
    """A route's handler that answers with this."""
    return lambda route: route.fulfill(content_type=kind, body=text)


def say(visit: Visit, script: str) -> object:
    """Run a script with `consent`, wait for what it promises."""
    got = "const consent = document.querySelector('consent-panel')?.consent ?? window.consent;"
    return visit.page.evaluate(f"async () => {{ {got} {script} }}")


def slow(visit: Visit, latency_ms: int) -> None:
    """A link with this much latency each way."""
    session = visit.page.context.new_cdp_session(visit.page)
    conditions = {"offline": False, "latency": latency_ms, "downloadThroughput": 200_000, "uploadThroughput": 100_000}
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", conditions)


def test_two_switches_150_ms_apart_on_a_300_ms_link(visit):
    """Contextual off and experimental on, as fast as a hand is: both count."""
    visit.open().toggle("contextual").toggle("behavioral")
    slow(visit, 300)
    state = say(
        visit,
        "const no = consent.withdraw('contextual'); await new Promise((done) => setTimeout(done, 150));"
        "await Promise.all([no, consent.grant('experimental')]); return (await consent.sync()).choices",
    )

    assert state == ["behavioral", "experimental"]
    assert visit.assets()["home-hero"] == "default"


def test_first_visit_yes_then_no_on_a_600_ms_link(visit):
    """200 ms after the first yes of all: nothing stays granted."""
    visit.open()
    before = visit.pixels("home-hero")
    slow(visit, 600)
    said = say(
        visit,
        "const yes = consent.grant('contextual'); await new Promise((done) => setTimeout(done, 200));"
        "const said = await Promise.allSettled([yes, consent.withdraw()]); return said.map(({ status }) => status)",
    )

    assert said[1] == "fulfilled"
    assert visit.pixels("home-hero") == before
    assert say(visit, "return (await consent.sync()).choices") == []


def test_a_yes_while_a_no_is_under_way_and_the_other_way_round(visit):
    """The last click wins, whichever it is."""
    visit.open().toggle("contextual").toggle("behavioral")
    choices = say(
        visit,
        "await Promise.all([consent.withdraw('behavioral'), consent.grant('experimental')]); return consent.choices",
    )
    again = say(
        visit,
        "await Promise.all([consent.withdraw('contextual'), consent.grant('contextual')]); return consent.choices",
    )
    gone = say(
        visit,
        "await Promise.allSettled([consent.grant('behavioral'), consent.withdraw()]);"
        "return (await consent.sync()).choices",
    )

    assert choices == again == ["contextual", "experimental"]
    assert gone == []


def test_a_yes_after_a_no_shows_it_again(visit):
    """What was refused is not refused for ever: the yes takes the cookie's entry away."""
    visit.open().toggle("contextual")
    granted = visit.pixels("home-hero")
    visit.toggle("contextual").toggle("contextual")

    assert visit.assets()["home-hero"] == "contextual"
    assert visit.pixels("home-hero") == granted
    assert "consent-no" not in visit.page.evaluate("document.cookie")


def test_offline_the_no_holds_and_goes_out_later(visit):
    """Without a network the picture goes at once and the default needs none; with one the record hears of the no."""
    visit.open()
    before = visit.pixels("home-hero")
    visit.toggle("contextual")
    visit.page.context.set_offline(True)
    say(visit, "consent.withdraw('contextual').catch(() => {}); await new Promise(requestAnimationFrame)")
    assert visit.assets()["home-hero"] in ("default", "none")  # none: the default's copy is still being encoded
    offline = visit.until_shows("home-hero", "Category", "default").pixels("home-hero")
    visit.page.context.set_offline(False)
    visit.until("!document.querySelector('consent-panel').consent.state.pending")

    assert offline == visit.pixels("home-hero") == before
    assert say(visit, "return (await consent.sync()).choices") == []


def test_a_reload_in_the_middle_of_a_no(visit):
    """The next page's own pictures are defaults: the cookie went with them."""
    visit.open()
    before = visit.pixels("home-hero")
    visit.toggle("contextual")
    visit.page.context.route(
        "**/v1/consent", lambda route: route.abort() if route.request.method == "DELETE" else route.fallback()
    )
    say(visit, "consent.withdraw('contextual').catch(() => {})")
    visit.open()

    assert visit.pixels("home-hero") == before


@pytest.mark.parametrize("page", ["/own.html", "/picture.html"])
def test_a_picture_that_loaded_personalised(own, page):
    """First paint with consent, in an img and in a picture with sources."""
    own.open(page)
    before = own.pixels("home-hero")
    say(own, "await consent.grant('contextual')")
    own.open(page)
    granted = own.pixels("home-hero")
    say(own, "await consent.withdraw()")

    assert granted != before
    assert own.pixels("home-hero") == before


def test_a_cache_first_service_worker(own):
    """It kept the personalised picture; after the no it has nothing left to bring back."""
    own.open("/own.html")
    before = own.pixels("home-hero")
    say(
        own,
        "await navigator.serviceWorker.register('/worker.js'); await navigator.serviceWorker.ready;"
        "await consent.grant('contextual')",
    )
    own.open("/own.html")
    granted = own.open("/own.html").pixels("home-hero")
    say(own, "await consent.withdraw()")
    own.open("/own.html")

    assert granted != before
    assert own.pixels("home-hero") == before


def test_another_tab_shows_the_default_before_anything_was_answered(visit):
    """Two tabs, one browser."""
    visit.open().toggle("contextual")
    other = Visit(visit.page.context.new_page(), visit.home).open()
    granted = other.pixels("home-hero")
    slow(visit, 2_000)
    say(visit, "consent.withdraw('contextual').catch(() => {})")
    other.until_shows("home-hero", "Category", "default")

    assert other.pixels("home-hero") != granted


def test_without_scripts_a_form_says_yes_and_no(shop, browser):
    """The panel's plain form: withdrawal as easy as consent, and back on the page it was said on."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{shop.eu}/gear.html")
    page.click("consent-panel form:nth-of-type(2) button")
    granted = {
        cookie["name"].removeprefix("__Host-").removeprefix("__Secure-")
        for cookie in context.cookies(f"{shop.eu}/v1/consent")
    }
    back = page.url
    page.click("consent-panel form:nth-of-type(1) button")
    left = {
        cookie["name"].removeprefix("__Host-").removeprefix("__Secure-")
        for cookie in context.cookies(f"{shop.eu}/v1/consent")
    }
    context.close()

    assert back == page.url == f"{shop.eu}/gear.html"
    assert {"consent-token", "consent-session"} <= granted
    assert "consent-token" not in left
    assert "consent-no" in left
