"""The whole product as processes on this machine, seen through Debian's Chromium."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from fleet.processes import Fleet, PopSpec
from fleet.project import SHOP, prepare

PICTURES = Path("build/screenshots")
FLAGS = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--no-first-run"]


@dataclass(frozen=True)
class Shop:
    """A control plane, a POP in the EU and one in California."""

    fleet: Fleet

    @property
    def eu(self) -> str:
        return self.fleet.url("frankfurt-1")

    @property
    def california(self) -> str:
        return self.fleet.url("san-jose-1")


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The demo shop, running. Signed by its own keys; the components come from the cache."""
    place = tmp_path_factory.mktemp("fleet")
    stage = prepare(place / "data", place / "components", Console(quiet=True))
    pops = [PopSpec("frankfurt-1", "EU"), PopSpec("san-jose-1", "US-CA")]
    with Fleet(stage.data, pops, site=SHOP / "site", components=stage.components) as fleet:
        yield Shop(fleet)


@pytest.fixture(scope="module")
def browser():
    """One headless Chromium per file: while it is open no other event loop can run in this process."""
    path = shutil.which("chromium")
    assert path, "Chromium is missing: scripts/setup tests"
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


class Look:
    """A picture's impression, 16 by 9 pixels. Equal: no one would see a difference."""

    TOLERANCE = 6.0  # of 255, on average; the same picture at two sizes differs by less, two pictures by far more

    def __init__(self, pixels: list[int]) -> None:
        self.pixels = pixels

    def distance(self, other: "Look") -> float:
        return sum(abs(a - b) for a, b in zip(self.pixels, other.pixels, strict=True)) / len(self.pixels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Look) and self.distance(other) < self.TOLERANCE

    __hash__ = None

    def __repr__(self) -> str:
        return f"Look({sum(self.pixels) / len(self.pixels):.0f})"


class Visit:
    """One visitor's page: what a person does and sees."""

    def __init__(self, page: Page, home: str) -> None:
        self.page = page
        self.home = home
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str = "/") -> "Visit":
        """Load a page and wait until its consent panel works."""
        self.page.goto(self.home + path)
        return self.ready()

    def ready(self) -> "Visit":
        return self.until("document.documentElement.dataset.consentReady === 'true'")

    def until(self, expression: str, patience_s: float = 120.0) -> "Visit":
        """Wait for a JavaScript condition. Asked from outside: the site's own policy forbids eval inside."""
        deadline = time.monotonic() + patience_s
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"still not: {expression}"
            self.page.wait_for_timeout(20)
        return self

    def until_shows(self, slot: str, field: str, value: str) -> "Visit":
        """Wait until a swap has said that the slot shows this `Category` or `Asset`."""
        return self.until(f"document.querySelector('[data-consent-slot={slot}]').dataset.consent{field} === '{value}'")

    def toggle(self, category: str) -> "Visit":
        """Click the category's switch and wait until the shop is done with it."""
        switch = self.page.locator(f".consent input[name={category}]")
        switch.click()
        return self.until(f"!document.querySelector('.consent input[name={category}]').hasAttribute('aria-busy')")

    def shown(self) -> dict[str, str]:
        """Slot -> address of the picture that is on the screen."""
        return self.page.evaluate(
            "() => Object.fromEntries([...document.querySelectorAll('img[data-consent-slot]')]"
            ".map((image) => [image.dataset.consentSlot, new URL(image.currentSrc).pathname]))"
        )

    def assets(self) -> dict[str, str]:
        """Slot -> asset, as the last swap said; `default` where nothing was swapped yet."""
        return self.page.evaluate(
            "() => Object.fromEntries([...document.querySelectorAll('img[data-consent-slot]')]"
            ".map((image) => [image.dataset.consentSlot, image.dataset.consentCategory ?? 'default']))"
        )

    def pixels(self, slot: str) -> Look:
        """
        What the slot's picture looks like right now, whatever its size and format. A swap under way makes `decode`
        reject, so it is asked again; a picture that is broken stays so, and fails.
        """
        return Look(
            self.page.evaluate(
                """async (slot) => {
                  const image = document.querySelector(`img[data-consent-slot="${slot}"]`);
                  image.loading = "eager";
                  for (let tries = 1; ; tries += 1) {
                    try {
                      await image.decode();
                      break;
                    } catch (error) {
                      if (tries === 300) throw error;
                      await new Promise((done) => setTimeout(done, 100));
                    }
                  }
                  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 9 });
                  const context = canvas.getContext("2d", { willReadFrequently: true });
                  context.imageSmoothingQuality = "high";
                  context.drawImage(image, 0, 0, 16, 9);
                  return [...context.getImageData(0, 0, 16, 9).data];
                }""",
                slot,
            )
        )

    def screenshot(self, name: str) -> None:
        """Keep what a person would see under build/screenshots."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.evaluate("scrollTo(0, 0)")
        self.page.screenshot(path=PICTURES / f"{name}.png")


@pytest.fixture
def visit(shop, browser: Browser):
    """A new visitor at the POP in the EU."""
    context = browser.new_context(viewport={"width": 1280, "height": 1180})
    visitor = Visit(context.new_page(), shop.eu)
    yield visitor
    context.close()
    assert visitor.errors == []
