"""One page load in Debian's Chromium, through CDP throttling, as one sample."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Response, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from latency_gate.arms import Arm
from latency_gate.profiles import DEVICE_SCALE, VIEWPORT, Profile
from latency_gate.sample import Broken, Sample

OBSERVE = (Path(__file__).parent / "observe.js").read_text()
SETTLE_MS = 1_500  # from the picture's last byte to its paint, on a slowed CPU
LOOK_EVERY_MS = 25
PAINTED = """() => __vitals.lcp.length > 0
  && [...document.images].some((image) => image.complete && image.naturalWidth > 0)"""
PATIENCE_MS = 15_000  # how long a page may take before it is broken
HeroCheck = Callable[[dict[str, str]], None]
EVENT_FLOOR_MS = 16.0  # Event Timing reports nothing shorter; an observed click without an entry took at most this
# A shift after input counts where the page itself moved between the click and the swap's paint: a swap is no answer
# that a person expects to move things. The panel's own sheet is.
CLS = """([from, to]) => __vitals.shifts
  .filter(({ time, recent, ofPage }) => !recent || (ofPage && from <= time && time <= to + 100))
  .reduce((sum, { value }) => sum + value, 0)"""
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless. As root it has to run without its sandbox."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise FileNotFoundError("Chromium is missing; run `scripts/setup tests` or `apt-get install chromium`")
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def take_sample(browser: Browser, arm: Arm, profile: Profile, tamper: str = "") -> Sample:
    """Load the arm's page once in a new browser context. A page that reports too little gives a broken sample.

    tamper: JavaScript installed before the page's own, for the self-test.
    """
    sample = Sample(arm.name)
    context = browser.new_context(viewport=VIEWPORT, device_scale_factor=DEVICE_SCALE, bypass_csp=arm.is_inline)
    try:
        arm.prepare(context)
        _measure(context, arm, profile, sample, tamper)
    except Broken as error:
        sample.broken = str(error)
    except PlaywrightTimeout as error:
        sample.broken = f"timed out: {str(error).splitlines()[0]}"
    except PlaywrightError as error:
        sample.broken = f"browser: {str(error).splitlines()[0]}"
    finally:
        context.close()
    return sample


def _measure(context: BrowserContext, arm: Arm, profile: Profile, sample: Sample, tamper: str) -> None:
    """1 load, 2 LCP, 3 consent toggle and swap, 4 first click after the swap, 5 totals."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script(OBSERVE)
    if tamper:
        page.add_init_script(tamper)
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))  # playwright marks the function it is given
    _throttle(context.new_cdp_session(page), profile)
    page.goto(arm.url, wait_until="load")
    _read_lcp(page, arm, sample, responses)
    swap = _toggle_and_swap(page, arm, sample) if arm.toggle else (0.0, 0.0)
    if arm.click:
        sample.inp_ms = _click(page, arm.click)
    sample.cls = page.evaluate(CLS, swap)
    sample.total_bytes = sum(_body_bytes(response) for response in responses)
    sample.cache_hits = sum(1 for response in responses if response.from_service_worker or response.status == 304)


def _throttle(session: CDPSession, profile: Profile) -> None:
    session.send("Network.enable")
    conditions = {
        "offline": False,
        "latency": profile.latency_ms,
        "downloadThroughput": profile.download,
        "uploadThroughput": profile.upload,
    }
    session.send("Network.emulateNetworkConditions", conditions)
    session.send("Emulation.setCPUThrottlingRate", {"rate": profile.cpu})


def _read_lcp(page: Page, arm: Arm, sample: Sample, responses: list[Response]) -> None:
    """The last candidate before any input, which must be the picture the arm is about."""
    try:
        _until(page, PAINTED)
        _until(page, arm.hero_done)
    except PlaywrightTimeout as error:
        raise Broken("no largest-contentful-paint entry for an image") from error
    with suppress(PlaywrightTimeout):  # the hero may never be the largest: then the last entry says what is
        _until(page, "(slot) => __vitals.lcp.at(-1)?.element?.slot === slot", arm.slot, SETTLE_MS)
    entries = page.evaluate("__vitals.lcp")
    if not entries:
        raise Broken("no largest-contentful-paint entry")
    last = entries[-1]
    sample.lcp_ms, sample.lcp_url = last["time"], last["url"]
    _check_element(arm, last)
    if arm.check_hero:
        _check_hero(arm.check_hero, last["url"], sample, responses)
    sample.requests_before_lcp = page.evaluate(
        "(time) => performance.getEntriesByType('resource').filter((entry) => entry.startTime < time).length + 1",
        sample.lcp_ms,
    )


def _check_element(arm: Arm, entry: dict[str, Any]) -> None:
    if not entry["url"]:
        raise Broken("the largest element is not an image")
    slot = (entry["element"] or {}).get("slot")
    if arm.slot and slot != arm.slot:
        raise Broken(f"the largest element is not the slot {arm.slot} but {entry['url'].rsplit('/', 1)[-1][:60]}")


def _check_hero(check: HeroCheck, url: str, sample: Sample, responses: list[Response]) -> None:
    """The picture that was painted was personalised, under a token that was checked."""
    hero = next((response for response in responses if response.url == url), None)
    if hero is None:
        raise Broken("the largest image was never requested")
    headers = hero.all_headers()
    sample.hero_bytes = _body_bytes(hero)
    sample.server_timing = server_timing(headers.get("server-timing", ""))
    check(headers)


def _toggle_and_swap(page: Page, arm: Arm, sample: Sample) -> tuple[float, float]:
    """When it was clicked and when the swap was painted, on the page's clock."""
    _until(page, arm.ready)
    if arm.launcher:
        page.locator(arm.launcher).click()  # who has chosen already finds the panel folded away
    before = page.evaluate("__vitals.elements.length")
    sample.toggle_inp_ms = _click(page, arm.toggle)
    clicked = page.evaluate("__vitals.clicks.at(-1)")
    try:
        _until(
            page,
            "([slot, from, time]) => __vitals.elements.slice(from).some((e) => e.name === slot && e.time > time)",
            [arm.slot, before, clicked],
        )
    except PlaywrightTimeout as error:
        raise Broken("no element timing entry after the swap") from error
    paints = page.evaluate("__vitals.elements")
    painted = next(p["time"] for p in paints[before:] if p["name"] == arm.slot and p["time"] > clicked)
    sample.swap_to_paint_ms = painted - clicked
    return clicked, painted


def _until(page: Page, condition: str, arg: Any = None, patience_ms: float | None = None) -> None:
    """Ask from outside until a function of the page says yes: its own policy may forbid evaluation inside.

    Raises: PlaywrightTimeout.
    """
    patience = PATIENCE_MS if patience_ms is None else patience_ms
    ends = time.monotonic() + patience / 1000
    while not page.evaluate(condition, arg):
        if time.monotonic() > ends:
            raise PlaywrightTimeout(f"not within {patience / 1000:g} s: {condition.strip()[:80]}")
        page.wait_for_timeout(LOOK_EVERY_MS)


def _click(page: Page, selector: str) -> float:
    """Click as a person would and return the interaction's duration (INP of this one interaction)."""
    clicks = page.evaluate("__vitals.clicks.length")
    page.locator(selector).first.click()
    _until(page, "(n) => __vitals.clicks.length > n", clicks)
    clicked = page.evaluate("__vitals.clicks.at(-1)")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 350)))")
    durations: list[float] = page.evaluate(
        "(time) => __vitals.events.filter((e) => e.start <= time + 1 && e.start > time - 500).map((e) => e.duration)",
        clicked,
    )
    if page.evaluate("__vitals.errors.length"):
        raise Broken(f"observer refused: {page.evaluate('__vitals.errors[0]')}")
    return max([EVENT_FLOOR_MS, *durations])


def _body_bytes(response: Response) -> int:
    try:
        return int(response.headers.get("content-length", 0))
    except ValueError:
        return 0


_METRIC = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:;dur=([0-9.]+))?")


def server_timing(header: str) -> dict[str, float]:
    """`token;dur=0.1, decide;dur=2` as {"token": 0.1, "decide": 2.0}; milliseconds."""
    return {name: float(duration or 0) for name, duration in _METRIC.findall(header)}
