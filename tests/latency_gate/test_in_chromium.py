"""The gate in a real browser: pages that are not ours, and its own report."""

import http.server
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import pyvips

from latency_gate.arms import Arm, foreign_arm
from latency_gate.browser import chromium, take_sample
from latency_gate.judge import BROKEN, TOO_FEW, judge_vitals
from latency_gate.profiles import PROFILES
from latency_gate.report import write_html
from latency_gate.run import Result
from latency_gate.run import _round as take_round

from .test_judge import BUDGETS, good

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>A page</title><body style="margin:0">{}<p>Some text below.</p></body>"""
PICTURE = '<img src="picture.jpg" width="400" height="300" alt="">'


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A static site that knows nothing of consent-edge."""
    place = tmp_path_factory.mktemp("site")
    noise = pyvips.Image.gaussnoise(800, 600, mean=120, sigma=40).cast("uchar")
    noise.write_to_file(str(place / "picture.jpg"))
    (place / "with.html").write_text(PAGE.format(PICTURE))
    (place / "without.html").write_text(PAGE.format("<h1 style='font-size:90px'>No picture here</h1>"))
    with serving(place) as origin:
        yield origin


@contextmanager
def serving(place):
    """The address of a server of these files."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=place))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def look_at(url, loads=2):
    arm = foreign_arm(url)
    with chromium() as browser:
        samples = [take_round(browser, [arm], PROFILES["none"], i, {})[0] for i in range(loads)]
    return {row.name: row for row in judge_vitals({"page": samples}, BUDGETS)}


def test_a_page_that_is_not_ours_is_measured(site):
    """LCP, INP of a click and CLS; with two loads the only complaint is that two are too few."""
    rows = look_at(f"{site}/with.html")

    assert {name: row.status for name, row in rows.items()} == dict.fromkeys(("lcp", "inp", "cls"), TOO_FEW)
    assert rows["lcp"].measured > 0


def test_a_page_without_an_image_is_broken_not_fast(site, monkeypatch):
    """Text painted early is no personalised picture painted early."""
    monkeypatch.setattr("latency_gate.browser.PATIENCE_MS", 1500)
    rows = look_at(f"{site}/without.html", loads=1)

    assert rows["lcp"].status == BROKEN


def test_a_page_that_is_not_there_is_broken(site, monkeypatch):
    """A dead server is no fast one."""
    monkeypatch.setattr("latency_gate.browser.PATIENCE_MS", 1500)

    assert look_at("http://127.0.0.1:9/", loads=1)["lcp"].status == BROKEN


MOVING = """<!doctype html><meta http-equiv="Content-Security-Policy" content="script-src 'self'">
<body style="margin:0">
<img id="hero" elementtiming="hero" data-consent-slot="hero" src="picture.jpg" width="400" height="300">
<consent-panel style="position:fixed;inset:auto 0 0"><p id="said">.</p>
<button id="toggle">Toggle</button></consent-panel>
<p>{}</p>
<script src="moving.js"></script>"""
MOVES = """document.querySelector("#toggle").addEventListener("click", () => {{
  setTimeout(() => {{ {} hero.src = "picture.jpg?2"; }}, 30);
}});"""


@pytest.mark.parametrize(
    ("moves", "counts"), [("hero.height = 500;", True), ("said.style.height = '300px';", False), ("", False)]
)
def test_a_swap_that_moves_the_page_right_after_the_click_is_seen(tmp_path, moves, counts):
    """`hadRecentInput` hides it from the browser's CLS; what moves inside the panel alone is the panel's answer.

    The page's policy forbids evaluation, and holds.
    """
    picture = pyvips.Image.gaussnoise(800, 600, mean=120, sigma=40).cast("uchar")
    picture.write_to_file(str(tmp_path / "picture.jpg"))
    (tmp_path / "page.html").write_text(MOVING.format("Some text below. " * 20))
    (tmp_path / "moving.js").write_text(MOVES.format(moves))
    with serving(tmp_path) as origin, chromium() as browser:
        arm = Arm("page", f"{origin}/page.html", slot="hero", toggle="#toggle", ready="() => true")
        sample = take_sample(browser, arm, PROFILES["none"])

    assert sample.broken == ""
    assert (sample.cls > 0.01) is counts


def test_the_named_element_is_clicked(site):
    """`--click`: an element that is not there is broken, never fast."""
    with chromium() as browser:
        found = take_sample(browser, foreign_arm(f"{site}/with.html", "p"), PROFILES["none"])
        missing = take_sample(browser, foreign_arm(f"{site}/with.html", "#buy"), PROFILES["none"])

    assert found.broken == ""
    assert found.inp_ms is not None
    assert missing.broken.startswith("timed out")


def test_the_report_shows_a_distribution_per_arm(tmp_path):
    """Opened in Chromium every plot has a size and names the arms; the picture stays under build/screenshots."""
    arms = good()
    write_html(Result("cdp-150ms-1.6mbit-cpu4", arms, judge_vitals(arms, BUDGETS)), BUDGETS, tmp_path / "r.html")
    shots = Path("build/screenshots")
    shots.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1100, "height": 1400})
        page.goto((tmp_path / "r.html").as_uri())
        sizes = page.evaluate(
            "[...document.querySelectorAll('svg')].map((plot) => plot.getBoundingClientRect().height)"
        )
        text = page.evaluate("document.body.textContent")
        page.screenshot(path=shots / "latency-report.png")

    assert len(sizes) == 5
    assert min(sizes) > 80
    assert "no personalisation" in text
    assert "client-side swap" in text
