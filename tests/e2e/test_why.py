"""'Why am I seeing this?' in the shop: what was used, by which law and rule, and a receipt checked by WebCrypto."""

import json
import re
import time

import pytest

from consent_core.trust.decision_receipts import open_given
from consent_core.trust.trust_file import NO_LOG, TrustFile
from tests.conftest import ROOT

pytestmark = pytest.mark.browser

CHECKS = """Object.fromEntries(
  [...document.querySelectorAll(".drawer .checks li")].map((item) => [item.dataset.check, item.className])
)"""
AXE = ROOT / "tests" / "consent_sdk" / "npm" / "node_modules" / "axe-core"
RUN_AXE = "async () => (await axe.run()).violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])"
HOLDS = dict.fromkeys(("signature", "endorsement", "trust", "same"), "holds")


def ask_why(visit, slot):
    """Open the drawer about a slot. Returns its text."""
    visit.page.locator(f"[data-why={slot}]").click()
    visit.until("document.querySelector('.drawer .facts')?.ariaBusy === 'false'")
    return visit.page.locator(".drawer").inner_text()


def until_endorsed(visit):
    """A POP that has just begun waits for its endorsement, and says so in its receipts until then."""
    deadline = time.monotonic() + 240
    while not visit.page.evaluate(
        "async () => (await (await fetch('/v1/slots/home-hero?why=1')).json()).why?.endorsement"
    ):
        assert time.monotonic() < deadline, "the POP's key was never endorsed"
        visit.page.wait_for_timeout(100)


def test_who_allowed_something_reads_what_was_used_and_that_it_is_signed(visit, shop):
    """Signals, category, law, rule, policy, component and token life; four links of the chain hold; a file to keep."""
    visit.open().toggle("contextual")
    until_endorsed(visit)
    text = ask_why(visit, "home-hero")
    visit.screenshot("6-why")
    with visit.page.expect_download() as download:
        visit.page.locator(".drawer a[download]").click()
    given = json.loads(download.value.path().read_text())
    receipt = open_given(given, TrustFile.load(shop.fleet.data / "trust.json"), NO_LOG)

    assert visit.page.evaluate(CHECKS) == HOLDS
    assert "water · coast · kayak" in text
    assert f"{receipt.jurisdiction} · eu-contextual-consent" in text
    assert receipt.policy_hash[7:19] in text
    assert receipt.component[7:19] in text
    assert "frankfurt-1" in text


def test_the_default_needed_nothing_and_says_so(visit):
    """No receipt, no checks: nothing about this visitor was used."""
    visit.open()
    text = ask_why(visit, "home-hero")

    assert "Everybody sees this" in text
    assert "no-token" in text
    assert visit.page.evaluate(CHECKS) == {}


def test_an_arm_is_called_an_arm(visit):
    """An experiment's design is none that was chosen for a person."""
    visit.open().toggle("experimental")

    assert "experiment" in ask_why(visit, "promo-tile")
    assert visit.page.locator(".drawer li", has_text="promo-2026").count() == 1


def test_an_altered_receipt_is_shown_as_such(visit):
    """Somebody between POP and page changes what was used: the signature fails, in red."""
    visit.open().toggle("contextual")
    until_endorsed(visit)

    def alter(route):
        answer = route.fetch()
        value = answer.json()
        head, body, signature = value["why"]["receipt"].split(".")
        value["why"]["receipt"] = ".".join((head, body, signature[:-8] + "AAAAAAAA"))
        route.fulfill(response=answer, json=value)

    visit.page.route(re.compile(r"/v1/slots/home-hero\?.*why=1"), alter)
    ask_why(visit, "home-hero")

    assert visit.page.evaluate(CHECKS) == {**HOLDS, "signature": "fails"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/gear.html", "/offers.html", "/?lang=ar"])
def test_nothing_of_shop_and_drawer_keeps_anybody_out(visit, path, scheme):
    """axe finds nothing, light and dark, in the page and in the open drawer; nothing scrolls sideways on a phone."""
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.open(path)
    visit.page.evaluate((AXE / "axe.min.js").read_text())
    found = visit.page.evaluate(RUN_AXE)
    visit.page.locator(".ask").first.evaluate("(button) => button.click()")
    visit.until("document.querySelector('.drawer .facts')?.ariaBusy === 'false'")
    found += visit.page.evaluate(RUN_AXE)

    assert found == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_on_a_laptop_the_hero_is_whole_above_the_panel(visit):
    """1366 × 768, first visit: the panel covers nothing of the picture, and its place does not depend on the panel."""
    visit.page.set_viewport_size({"width": 1366, "height": 768})
    visit.open()
    hero, sheet = (visit.page.locator(name).bounding_box() for name in ("#hero", ".consent-sheet"))

    assert hero["y"] + hero["height"] <= sheet["y"]


def test_the_drawer_is_for_the_keyboard_too(visit):
    """Enter opens it, Escape closes it, and the focus is where it was."""
    visit.open()
    visit.page.locator("[data-why=home-hero]").focus()
    visit.page.keyboard.press("Enter")
    visit.until("document.querySelector('.drawer').open")
    visit.page.keyboard.press("Escape")

    assert visit.page.evaluate("document.activeElement.dataset.why") == "home-hero"
