"""The pages that are compared: the shop's own home page, and the same page made the other ways people make it.

ours        personalised in the first response, by cookie
plain       the same picture, chosen for everybody: no personalisation, no SDK
antiflicker the default page, hidden until a script has asked for the decision and swapped the picture
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from playwright.sync_api import BrowserContext

from latency_gate.sample import Broken

HERO = re.compile(r'<img id="hero".*?>', re.DOTALL)
SCRIPT = re.compile(r'\s*<script [^>]*src="/shop.js"[^>]*></script>')
SLOT = "home-hero"
ANTIFLICKER_EVERY = 3  # half a second slower than ours: 24 pairs say that as surely as 72

HERO_LOADED = f"""() => {{
  const hero = document.querySelector('img[data-consent-slot="{SLOT}"]');
  return hero?.complete && hero.naturalWidth > 0;
}}"""
REVEALED = "() => !document.documentElement.classList.contains('hide-until-decided')"
ANY_IMAGE_PAINTED = "() => __vitals.lcp.some((e) => e.url)"
PANEL_READY = "() => document.documentElement.dataset.consentReady === 'true'"

ANTIFLICKER = """
<style>.hide-until-decided { opacity: 0 !important }</style>
<script>
  document.documentElement.classList.add("hide-until-decided");
  const reveal = () => document.documentElement.classList.remove("hide-until-decided");
  setTimeout(reveal, 4000);
  addEventListener("DOMContentLoaded", async () => {
    const image = document.getElementById("hero");
    const decision = await (await fetch(%s)).json();
    const next = new Image();
    next.sizes = image.sizes;
    next.srcset = decision.rendition.srcset;
    next.src = decision.rendition.url;
    await next.decode();
    image.srcset = decision.rendition.srcset;
    image.src = decision.rendition.url;
    reveal();
  });
</script>
"""


def _nothing(_: BrowserContext) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Arm:
    """One page to load, what must be its largest element, and what to click."""

    name: str
    url: str
    slot: str = ""
    launcher: str = ""
    toggle: str = ""
    click: str = ""
    every: int = 1  # in which rounds it is loaded: each one, each third one
    is_inline: bool = False  # its own scripts are inline, so the page's policy is set aside for it
    hero_done: str = ANY_IMAGE_PAINTED
    ready: str = PANEL_READY
    prepare: Callable[[BrowserContext], None] = field(default=_nothing)
    check_hero: Callable[[dict[str, str]], None] | None = None


def foreign_arm(url: str, click: str | None = None) -> Arm:
    """A page that is not ours: its largest element has to be an image. `click`: what does some work there."""
    return Arm("page", url, click=click or "body")


def shop_arms(origin: str) -> list[Arm]:
    """The three ways, on a POP at `origin` whose site holds the pages of `write_pages`."""

    def consented(context: BrowserContext) -> None:
        grant(context, origin, ["contextual"])

    return [
        Arm(
            "ours",
            f"{origin}/",
            slot=SLOT,
            launcher=".consent .consent-launcher",
            toggle=".consent input[name=contextual]",
            click=".consent input[name=experimental]",
            hero_done=HERO_LOADED,
            prepare=consented,
            check_hero=check_personalised,
        ),
        Arm("plain", f"{origin}/plain.html", slot=SLOT, hero_done=HERO_LOADED, prepare=consented),
        Arm(
            "antiflicker",
            f"{origin}/antiflicker.html",
            slot=SLOT,
            every=ANTIFLICKER_EVERY,
            is_inline=True,
            hero_done=REVEALED,
            prepare=consented,
        ),
    ]


def grant(context: BrowserContext, origin: str, choices: list[str]) -> None:
    """Give consent as the SDK does, before the clock starts. The cookies stay in the context."""
    page = context.new_page()
    page.route(f"{origin}/nothing", lambda route: route.fulfill(content_type="text/html", body=""))
    page.goto(f"{origin}/nothing")  # a page of this origin that loads and forbids nothing
    status, text = page.evaluate(
        """async (choices) => {
          const headers = { "Content-Type": "application/json" };
          const body = JSON.stringify({ grant: choices });
          const answer = await fetch("/v1/consent", { method: "POST", headers, body });
          return [answer.status, await answer.text()];
        }""",
        choices,
    )
    page.close()
    if status != HTTPStatus.OK:
        raise Broken(f"consent was refused: {status} {text[:200]}")


def check_personalised(headers: dict[str, str]) -> None:
    """The answer was made for this visitor: a token was checked, and nothing fell back to the default."""
    code = headers.get("consent-edge-code")
    if code:
        raise Broken(f"the largest image is not personalised: {code}")
    if "token" not in headers.get("server-timing", ""):
        raise Broken("no token was checked for the largest image")


def write_pages(site: Path, decision: dict[str, object], slot_url: str) -> None:
    """Derive the other arms from the shop's home page. `decision`: what a consented visitor of that page gets."""
    page = (site / "index.html").read_text()
    hero = HERO.search(page)
    if hero is None:
        raise ValueError("the home page has no <img id=hero>")
    rendition = decision["rendition"]
    if not isinstance(rendition, dict):
        raise TypeError("a decision carries a rendition")
    fixed = re.sub(r'\bsrc="[^"]*"', f'src="{rendition["url"]}"', hero.group())
    fixed = re.sub(r'\bsrcset="[^"]*"', f'srcset="{rendition["srcset"]}"', fixed)
    without_sdk = SCRIPT.sub("", page)
    (site / "plain.html").write_text(without_sdk.replace(hero.group(), fixed))
    snippet = ANTIFLICKER % json.dumps(slot_url)
    (site / "antiflicker.html").write_text(without_sdk.replace("</head>", f"{snippet}</head>"))
