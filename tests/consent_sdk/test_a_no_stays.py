"""After the promise of a no has resolved, no personalised picture is on screen or comes back: in Chromium."""

import pytest

from .conftest import Tab

pytestmark = pytest.mark.browser

DEFAULTS = {"home-hero": "default", "member-banner": "default", "promo-tile": "default"}
HERO = {"home-hero": "default"}
LOADED = "document.images[0]?.complete && document.images[0].naturalWidth > 0"


def test_a_yes_shows_and_a_no_takes_away(tab):
    """Each slot follows its own category, and the default is back when the no's promise resolves."""
    tab.open().do("await consent.grant('contextual', 'experimental')")
    granted = tab.shown()
    tab.do("await consent.withdraw()")

    assert granted == {**DEFAULTS, "home-hero": "contextual", "promo-tile": "experimental"}
    assert tab.shown() == DEFAULTS


def test_the_default_is_on_screen_before_anything_was_answered(tab):
    """A no on a link that has stopped: within the click's own turn the picture is gone."""
    tab.open().do("await consent.grant('contextual')")
    tab.fault("DELETE", delay=3_000)
    tab.do("window.no = consent.withdraw('contextual'); await new Promise(requestAnimationFrame)")

    assert tab.shown() == DEFAULTS
    assert tab.page.evaluate("consent.state.pending") is True


def test_offline_the_default_is_shown_and_the_no_goes_out_later(tab, context):
    """Without a network: default at once, pending; with one again it is sent by itself."""
    tab.open().do("await consent.grant('contextual')")
    context.set_offline(True)
    tab.do("window.no = consent.withdraw('contextual').catch(() => {}); await new Promise(requestAnimationFrame)")
    offline = tab.shown()
    pending = tab.page.evaluate("consent.state.pending")
    context.set_offline(False)
    tab.until("!consent.state.pending")

    assert (offline, pending) == (DEFAULTS, True)
    assert [change["method"] for change in tab.changes()] == ["POST", "DELETE"]
    assert tab.shown() == DEFAULTS


def test_offline_after_a_personalised_load_the_default_is_at_hand(tab, context):
    """The page began with a personalised picture: its default was fetched while nothing else went on."""
    tab.open().do("await consent.grant('contextual')")
    tab.open()
    before = tab.shown()
    tab.until_default_is_at_hand()
    context.set_offline(True)
    tab.do("consent.withdraw('contextual').catch(() => {}); await new Promise(requestAnimationFrame)")

    assert before["home-hero"] == "contextual"
    assert tab.shown()["home-hero"] != "contextual"
    tab.until("document.images[0].dataset.consentCategory === 'default'")
    assert tab.shown() == DEFAULTS


def test_offline_without_a_default_nothing_is_shown(tab, context):
    """Where no default is at hand the picture's place is empty, and keeps its size."""
    tab.open().do("await consent.grant('contextual')")
    tab.page.add_init_script(
        "delete window.requestIdleCallback; Object.defineProperty(window, 'requestIdleCallback', {})"
    )
    tab.open()
    size = tab.page.evaluate(
        "(() => { const { width, height } = document.images[0].getBoundingClientRect(); return [width, height] })()"
    )
    context.set_offline(True)
    tab.do("consent.withdraw('contextual').catch(() => {}); await new Promise(requestAnimationFrame)")

    assert tab.shown()["home-hero"] == "nothing"
    assert size == tab.page.evaluate(
        "(() => { const { width, height } = document.images[0].getBoundingClientRect(); return [width, height] })()"
    )


def test_a_reload_while_the_no_is_under_way_shows_the_default(tab):
    """The cookie travels with the new page's own pictures, and the no is sent by it."""
    tab.open().do("await consent.grant('contextual')")
    tab.fault("DELETE", lost=True)
    tab.fault("DELETE", delay=2_000)
    tab.do("consent.withdraw('contextual').catch(() => {})")
    tab.open()

    assert tab.shown() == DEFAULTS


def test_two_tabs(tab, context, site):
    """A no in one tab is on the other's screen, at once, while nothing has answered yet."""
    other = Tab(context, site).open()
    tab.open().do("await consent.grant('contextual')")
    other.until("document.images[0].dataset.consentCategory === 'contextual'")
    tab.fault("DELETE", delay=3_000)
    tab.do("window.no = consent.withdraw('contextual'); await new Promise((done) => setTimeout(done, 300))")
    during = other.shown()
    tab.do("await no")

    assert during == DEFAULTS
    assert other.shown() == DEFAULTS


def test_two_tabs_change_their_minds_at_once(tab, context, site):
    """A yes in one and a later no in the other: one order, by number, whichever answer comes first."""
    other = Tab(context, site).open()
    tab.open().do("await consent.grant('behavioral')")
    tab.fault("POST", delay=1_000)
    tab.do("window.yes = consent.grant('contextual').catch(({ code }) => code)")
    other.do("await consent.withdraw('contextual')")
    tab.do("await yes")

    assert tab.shown() == other.shown() == {**DEFAULTS, "member-banner": "behavioral"}
    assert tab.do("return (await consent.sync()).choices") == ["behavioral"]


@pytest.mark.parametrize("script", ["consent.grant('contextual')", "consent.withdraw('behavioral')"])
def test_two_switches_150_ms_apart_on_a_slow_link(tab, script):
    """Both clicks count, in their order, whatever the link does."""
    tab.open().do("await consent.grant('behavioral')")
    for method in ("POST", "DELETE", "POST"):
        tab.fault(method, delay=300)
    tab.do(
        f"const first = {script}; await new Promise((done) => setTimeout(done, 150));"
        "const second = consent.grant('experimental'); await Promise.all([first, second])"
    )
    contextual = "grant" in script

    assert tab.shown() == {
        "home-hero": "contextual" if contextual else "default",
        "member-banner": "behavioral" if contextual else "default",
        "promo-tile": "experimental",
    }


def test_first_visit_grant_then_withdraw_on_a_slow_link(tab):
    """The no waits for the session that the yes makes, and takes it back."""
    tab.open()
    tab.fault("POST", delay=600)
    tab.fault("DELETE", delay=600)
    codes = tab.do(
        "const yes = consent.grant('contextual'); await new Promise((done) => setTimeout(done, 200));"
        "const no = consent.withdraw(); return (await Promise.allSettled([yes, no])).map(({ status }) => status)"
    )

    assert codes == ["fulfilled", "fulfilled"]
    assert tab.shown() == DEFAULTS
    assert tab.do("return (await consent.sync()).choices") == []


def test_a_picture_element_shows_what_was_decided(tab):
    """The sources of a <picture> do not win over a decision, nor over the default after a no."""
    tab.open("/picture").do("await consent.grant('contextual')")
    granted = tab.shown()
    tab.do("await consent.withdraw()")

    assert granted == {"home-hero": "contextual"}
    assert tab.shown() == HERO


def test_a_picture_element_that_loaded_personalised(tab):
    """The same for a page whose first paint was personalised."""
    tab.open("/picture").do("await consent.grant('contextual')")
    tab.open("/picture")
    before = tab.shown()
    tab.do("await consent.withdraw()")

    assert (before, tab.shown()) == ({"home-hero": "contextual"}, HERO)


@pytest.mark.parametrize("worker", ["/sw.js", "/sw.js?ignoring"])
def test_a_cache_first_service_worker_brings_nothing_back(tab, worker):
    """What was decided leaves the caches: a page without the module shows what the worker has left, also one that
    ignores `Vary`."""
    tab.open("/worker")
    tab.do(
        f"await navigator.serviceWorker.register('{worker}'); await navigator.serviceWorker.ready;"
        "await consent.grant('contextual')"
    )
    tab.open("/worker").open("/worker")
    before = tab.shown()
    tab.page.goto(f"{tab.site}/bare")
    bare = tab.until(LOADED).shown()
    tab.open("/worker").do("await consent.withdraw()")
    after = tab.shown()
    tab.page.goto(f"{tab.site}/bare")

    assert (before, bare, after) == ({"home-hero": "contextual"}, {"home-hero": "contextual"}, HERO)
    assert tab.until(LOADED).shown() == HERO


def test_back_and_forward(tab):
    """A page that comes back from the browser's memory or its cache shows the default."""
    tab.open().do("await consent.grant('contextual')")
    tab.open()
    tab.open("/picture").do("await consent.withdraw()")
    tab.page.go_back()
    tab.ready().until("document.images[0].dataset.consentCategory === 'default'")
    back = tab.shown()
    tab.page.go_forward()
    tab.ready().until("document.images[0].dataset.consentCategory === 'default'")

    assert back == DEFAULTS
    assert tab.shown() == HERO


def test_back_to_a_page_that_began_with_the_default(tab):
    """Its picture's address showed somebody's on the page between: the browser's memory must not bring that back."""
    tab.open().do("await consent.grant('contextual')")
    tab.open("/worker")
    tab.do("window.keep = Object.assign(new Image(), { src: document.images[0].src }); await keep.decode()")
    tab.do("await consent.withdraw()")
    for _ in range(6):
        tab.fault("GET", path="/v1/consent", delay=5_000)
    tab.page.go_back()

    assert tab.page.evaluate("document.documentElement.dataset.ready") is None
    assert tab.shown() == DEFAULTS


def test_a_decision_that_was_under_way_is_not_shown(tab):
    """A personalised decision that was made before the no and arrives after it stays off the screen."""
    tab.open()
    tab.fault("POST", adding={"slots": None})
    for _ in range(3):
        tab.fault("GET", path="/v1/slots/home-hero?path=/", late=1_500)
    seen = tab.do(
        "const seen = []; let said = false;"
        "addEventListener('consent-swap', ({ detail }) => said && seen.push(detail.category));"
        "const yes = consent.grant('contextual');"
        "await new Promise((done) => setTimeout(done, 700)); said = true;"
        "const no = consent.withdraw();"
        "await Promise.allSettled([yes, no]); return seen"
    )

    assert "contextual" not in seen
    assert tab.shown() == DEFAULTS


def test_a_picture_that_was_loading_when_it_was_refused_is_not_shown(tab):
    """The decision came before the no, its picture after it; the slot shows its default, so nothing takes it back."""
    tab.open()
    tab.fault("POST", adding={"slots": None})
    tab.fault("GET", path="/v1/renditions/contextual", late=2_000)
    with tab.page.expect_request("**/v1/renditions/contextual"):
        tab.page.evaluate("void (window.yes = consent.grant('contextual').catch(() => {}))")
    seen = tab.do(
        "const seen = []; addEventListener('consent-swap', ({ detail }) => seen.push(detail.category));"
        "await Promise.all([yes, consent.withdraw()]); return seen"
    )

    assert "contextual" not in seen
    assert tab.shown() == DEFAULTS


def test_a_page_context_that_no_pop_would_take_stops_nothing(tab):
    """A slot with an odd context is left out of a change, or asked for alone; the change goes through."""
    tab.open("/odd").do("await consent.grant('contextual')")
    granted = tab.shown()
    tab.do("await consent.withdraw()")

    assert (granted, tab.shown()) == ({"home-hero": "contextual"}, HERO)


def test_more_slots_than_come_along(tab):
    """Nine of a kind and more: eight come along, the rest is asked for, all of them follow."""
    tab.open().do(
        "for (let i = 0; i < 12; i += 1) { const copy = document.images[0].cloneNode();"
        "copy.dataset.consentContext = `path=/${i}`;"
        "document.body.append(copy); } await consent.grant('contextual')"
    )
    shown = (
        "[...document.querySelectorAll('[data-consent-slot=home-hero]')].map(({ dataset }) => dataset.consentCategory)"
    )
    granted = tab.page.evaluate(shown)
    tab.do("await consent.withdraw()")

    assert len(tab.changes()[0]["body"]["slots"]) == 8
    assert (set(granted), set(tab.page.evaluate(shown))) == ({"contextual"}, {"default"})


def test_the_cookie_has_the_prefix_that_keeps_siblings_out(tab, context):
    """Chromium takes a secure cookie on loopback, so the name says which host made it."""
    tab.open().do("await consent.withdraw('behavioral')")
    [cookie] = [cookie for cookie in context.cookies() if cookie["name"].endswith("consent-no")]

    assert cookie["name"] == "__Host-consent-no"
    assert (cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
