"""`<consent-panel>` in Chromium, under a policy that allows nothing inline and no markup from strings."""

import json
from pathlib import Path

import pytest

from .conftest import Tab

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "npm" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = {"phone": (390, 844), "small phone": (320, 640), "tablet": (768, 1024), "desk": (1440, 900)}
BUTTON = "consent-panel .consent-answer"
SHEET = "document.querySelector('.consent-sheet')"


@pytest.fixture
def visitor(chromium, site):
    """Pages of a new visitor, with what their browser is like. No script may have failed, no policy been broken."""
    contexts, tabs, broken = [], [], []

    def open_page(width=(1440, 900), language="en", **browser):
        context = chromium.new_context(viewport={"width": width[0], "height": width[1]}, locale="en-US", **browser)
        contexts.append(context)
        tab = Tab(context, site)
        tabs.append(tab)
        tab.page.on(
            "console", lambda message: broken.append(message.text) if "policy" in message.text.lower() else None
        )
        return tab.open(f"/panel?lang={language}")

    yield open_page
    failures = [failure for tab in tabs for failure in tab.failures]
    for context in contexts:
        context.close()
    assert (failures, broken) == ([], [])


def violations(tab: Tab) -> list[str]:
    """What axe finds wrong with the panel."""
    assert AXE.exists(), "axe-core is missing: scripts/setup tests"
    tab.page.evaluate(AXE.read_text())
    found = tab.page.evaluate("async () => (await axe.run('consent-panel')).violations")
    return [f"{one['id']}: {json.dumps([node['html'] for node in one['nodes']])[:300]}" for one in found]


def press(tab: Tab, *keys: str) -> None:
    for key in keys:
        tab.page.keyboard.press(key)


@pytest.mark.parametrize("language", ["en", "ar", "ja"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_nothing(visitor, width, scheme, language):
    """The banner of a first visit, in light and dark, from right to left too."""
    assert violations(visitor(width, language, color_scheme=scheme)) == []


def test_axe_finds_nothing_in_the_preferences(visitor):
    """After a choice: folded away, and opened again with the receipt and a status."""
    tab = visitor()
    tab.page.click(f"{BUTTON} >> nth=1")
    tab.until("consent.choices.length === 3")
    folded = violations(tab)
    tab.page.click(".consent-launcher")

    assert (folded, violations(tab)) == ([], [])


def test_yes_and_no_weigh_the_same(visitor):
    """Same size, same look, one click each."""
    for width in WIDTHS.values():
        tab = visitor(width)
        looks = tab.page.evaluate(
            f"""[...document.querySelectorAll('{BUTTON}')].map((button) => {{
              const {{ width, height, top }} = button.getBoundingClientRect();
              const {{ color, backgroundColor, fontSize, fontWeight, borderColor }} = getComputedStyle(button);
              return JSON.stringify([width, height, top, color, backgroundColor, fontSize, fontWeight, borderColor]);
            }})"""
        )

        assert len(looks) == 2
        assert looks[0] == looks[1]


def test_reject_all_needs_no_session_and_is_remembered(visitor):
    """One click on a first visit: nothing is granted, and the next page does not ask again."""
    tab = visitor()
    tab.page.click(f"{BUTTON} >> nth=0")
    tab.until("!consent.state.pending")
    tab.open("/panel")

    assert [change["method"] for change in tab.changes()] == ["DELETE"]
    assert tab.page.is_hidden(".consent-sheet")
    assert tab.page.is_visible(".consent-launcher")


def test_accept_all_names_the_notice_that_was_shown(visitor):
    """The record says which text the visitor saw."""
    tab = visitor()
    tab.until("document.querySelector('consent-panel details').hidden === false")
    tab.page.click(f"{BUTTON} >> nth=1")
    tab.until("consent.choices.length === 3")

    assert tab.changes()[0]["body"]["notice"] == "sha256:" + "0" * 64


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_purposes_retentions_and_the_notice_are_there_in_full(visitor, width):
    """On a phone as on a desk; nothing is wider than the window."""
    tab = visitor(width)
    tab.until("document.querySelector('consent-panel details').open")
    text = tab.page.inner_text("consent-panel")

    assert "bought on this site. Kept 7 days." in text
    assert "whatever is chosen here." in text
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.page.evaluate(f"{SHEET}.scrollWidth <= {SHEET}.clientWidth")


@pytest.mark.parametrize("width", [WIDTHS["phone"], WIDTHS["small phone"]], ids=["phone", "small phone"])
def test_a_phone_shows_the_page_above_the_panel(visitor, width):
    """A first visitor sees what the page is about: half of the window is its own, the notice open or not."""
    tab = visitor(width)
    tab.until("document.querySelector('consent-panel details').open")

    assert tab.page.evaluate(f"{SHEET}.getBoundingClientRect().top") >= width[1] / 2


@pytest.mark.parametrize("width", [*WIDTHS.values(), (640, 360)], ids=[*WIDTHS, "zoom 200 %"])
def test_what_has_the_focus_is_never_under_the_panel(visitor, width):
    """Keyboard through the whole page, forwards: each focused element is visible (WCAG 2.4.11)."""
    tab = visitor(width)
    hidden = []
    for _ in range(34):
        press(tab, "Tab")
        covered = tab.page.evaluate(
            f"""() => {{
              const focused = document.activeElement;
              if (focused === document.body || focused.closest("consent-panel")) return null;
              const bottom = focused.getBoundingClientRect().bottom;
              return bottom > {SHEET}.getBoundingClientRect().top ? focused.textContent : null;
            }}"""
        )
        hidden += [covered] if covered else []

    assert hidden == []


@pytest.mark.parametrize("width", [(390, 844), (320, 640), (640, 360)], ids=["phone", "small phone", "zoom 200 %"])
def test_no_control_hides_under_the_panels_own_buttons(visitor, width):
    """Keyboard through the panel: what has the focus is inside the sheet and above its fixed row."""
    tab = visitor(width)
    tab.page.focus(".consent-sheet")
    for name in ("contextual", "behavioral", "experimental"):
        press(tab, "Tab")
        assert tab.page.evaluate("document.activeElement.name") == name
        assert tab.page.evaluate(
            "document.activeElement.getBoundingClientRect().bottom"
            " <= document.querySelector('.consent-dock').getBoundingClientRect().top + 1"
        )


def test_keyboard_alone(visitor):
    """Switch one on, refuse all, open it again, leave by Escape; the focus is where a person expects it."""
    tab = visitor()
    tab.page.focus(".consent-sheet")
    press(tab, "Tab", "Space")
    tab.until("consent.choices.includes('contextual') && !document.querySelector('input[name=contextual]').ariaBusy")
    tab.page.focus(f"{BUTTON} >> nth=0")
    press(tab, "Enter")
    tab.until("consent.choices.length === 0 && document.activeElement.className === 'consent-launcher'")
    press(tab, "Enter")
    opened = tab.page.evaluate("document.activeElement.className")
    press(tab, "Escape")

    assert opened == "consent-sheet"
    assert tab.page.evaluate("document.activeElement.className") == "consent-launcher"


def test_a_link_to_the_panel_opens_it(visitor):
    """A page's own `Your choices` link needs no script."""
    tab = visitor()
    tab.page.click(f"{BUTTON} >> nth=0")
    tab.page.click("footer a")

    assert tab.page.is_visible(".consent-sheet")


def test_from_right_to_left(visitor):
    """Arabic: the sheet's direction, and the switch on the right of its text."""
    tab = visitor((390, 844), "ar")
    right, left = tab.page.evaluate(
        "[document.querySelector('consent-panel input'), document.querySelector('consent-panel label b')]"
        ".map((element) => element.getBoundingClientRect().left)"
    )

    assert tab.page.get_attribute(".consent-sheet", "dir") == "rtl"
    assert right > left


def test_forced_colours_keep_the_switches(visitor):
    """Where the system paints, the switches are its own checkboxes."""
    tab = visitor(forced_colors="active")

    assert tab.page.evaluate("getComputedStyle(document.querySelector('consent-panel input')).appearance") == "auto"


def test_reduced_motion_moves_nothing(visitor):
    """No transition where the system asks for none."""
    tab = visitor(reduced_motion="reduce")

    assert (
        tab.page.evaluate("getComputedStyle(document.querySelector('consent-panel input')).transitionDuration") == "0s"
    )


def test_a_page_sets_the_colours(visitor):
    """Custom properties of the page win, in light and dark."""
    tab = visitor()
    tab.page.evaluate("document.querySelector('consent-panel').style.setProperty('--consent-accent', 'rgb(1, 2, 3)')")

    assert tab.page.evaluate(f"getComputedStyle(document.querySelector('{BUTTON}')).backgroundColor") == "rgb(1, 2, 3)"


@pytest.mark.parametrize("fault", [{"status": 503, "code": "sync-lost"}, {"lost": True}, {"delay": 60_000}])
def test_a_server_that_fails_takes_nothing_away(visitor, fault):
    """The panel is there, says so, and a no is possible."""
    tab = visitor()
    for _ in range(12):  # the browser itself repeats what was cut off
        tab.fault("GET", path="/v1/consent", **fault)
    tab.open("/panel")
    tab.until("!document.querySelector('.consent-sheet').hidden")
    text = tab.page.inner_text("consent-panel output")
    tab.page.click(f"{BUTTON} >> nth=0")
    tab.until("!consent.state.pending")

    assert "does not answer" in text


def test_offline_the_panel_says_pending(visitor):
    """A no holds at once, and the panel says that it is on its way."""
    tab = visitor()
    tab.page.context.set_offline(True)
    tab.page.click("input[name=behavioral]")
    tab.until("consent.state.pending === false")
    tab.page.click(f"{BUTTON} >> nth=0")
    tab.page.click(".consent-launcher")
    text = tab.page.inner_text("consent-panel output")
    tab.page.context.set_offline(False)
    tab.until("!consent.state.pending")

    assert "on its way to the server" in text
    assert "on its way" not in tab.page.inner_text("consent-panel output")


def test_the_signal_is_shown_as_honoured(visitor):
    """What the server says of Global Privacy Control is in the panel."""
    tab = visitor()
    tab.fault("GET", path="/v1/consent", adding={"gpc_honoured": True, "jurisdiction": "US-CA"})
    tab.do("await consent.sync()")

    assert "Global Privacy Control signal is honoured" in tab.page.inner_text("consent-panel output")


def test_the_receipt_can_be_kept(visitor):
    """The signed receipt of the choice, as a file."""
    tab = visitor()
    tab.page.click(f"{BUTTON} >> nth=1")
    tab.until("Boolean(consent.state.receipt)")
    tab.page.click(".consent-launcher")
    with tab.page.expect_download() as download:
        tab.page.click("consent-panel .consent-link")

    assert download.value.suggested_filename == "consent-receipt.jwt"
    assert Path(download.value.path()).read_text() == tab.page.evaluate("consent.state.receipt")
