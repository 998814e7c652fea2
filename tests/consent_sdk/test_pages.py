"""Pages that change themselves, and many of them: in Chromium."""

import pytest

from .conftest import Tab

pytestmark = pytest.mark.browser


def streams(tab: Tab) -> int:
    return tab.page.request.get(f"{tab.site}/streams").json()


ASKED = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/v1/consent')).length"


def asks(tab: Tab) -> int:
    return tab.page.evaluate(ASKED)


def test_six_tabs_hold_one_stream(tab, context, site):
    """A browser gives one site six connections over HTTP/1.1: a seventh page still loads, and each hears a change."""
    tabs = [tab.open(), *(Tab(context, site).open() for _ in range(6))]
    before = [asks(one) for one in tabs]
    open_streams = streams(tab)
    tab.page.request.get(f"{site}/tell")
    for one, count in zip(tabs, before, strict=True):
        one.until(f"{ASKED} > {count}")

    assert open_streams == 1


def test_another_tab_takes_the_stream_over(tab, context, site):
    """The page that had it is closed: the next one has it, and asks what it may have missed."""
    first = Tab(context, site).open()
    tab.open()
    before = asks(tab)
    first.page.close()
    tab.until(f"{ASKED} > {before}")

    assert streams(tab) == 1


def test_an_element_that_is_added_follows(tab):
    """With consent and after a no, as those that were there from the start."""
    tab.open().do("await consent.grant('contextual')")
    tab.do(
        "const image = document.images[0].cloneNode();"
        "for (const name of ['Category', 'Url', 'Asset']) delete image.dataset[`consent${name}`];"
        "image.removeAttribute('srcset'); image.src = '/v1/images/home-hero?path=/';"
        "image.id = 'added'; document.body.append(image)"
    )
    tab.until("document.querySelector('#added').complete")
    tab.do("await consent.withdraw()")

    assert tab.page.evaluate("document.querySelector('#added').dataset.consentCategory") == "default"
    assert tab.shown()["home-hero"] == "default"


@pytest.mark.parametrize("mark", ["consentContext = 'path=/other'", "consentSlot = 'promo-tile'"])
def test_another_context_or_slot_is_another_decision(tab, mark):
    """A page that navigates without loading changes the mark, and nothing else."""
    tab.open().do("await consent.grant('experimental', 'contextual')")
    tab.do(
        f"document.images[0].dataset.{mark};"
        "await new Promise((done) => addEventListener('consent-swap', done, { once: true }))"
    )
    shown = "experimental" if "Slot" in mark else "contextual"
    tab.until(f"document.images[0].dataset.consentCategory === '{shown}'")
    tab.do("await consent.withdraw()")

    assert set(tab.shown().values()) == {"default"}
