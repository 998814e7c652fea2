"""The gate in a real browser: pages that are not ours, and its own report."""

import http.server
import threading
from functools import partial
from pathlib import Path

import pytest
import pyvips

from latency_gate.arms import foreign_arm
from latency_gate.browser import chromium
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
