"""A page that was prerendered with a yes and is activated after the no: in a Chromium that really prerenders.

Chromium prerenders nothing while DevTools look at the page (`PrerenderingDisabledByDevTools`), so no Playwright here:
the pages do it all by themselves and report to the shop.
"""

import json
import os
import shutil
import subprocess
import time
from urllib.request import urlopen

import pytest

from .conftest import FLAGS

pytestmark = pytest.mark.browser

CONTEXTUAL, DEFAULT, NOTHING = "200,30,30", "120,120,120", "nothing"
STAGES = ["loaded", "activated", "settled"]


@pytest.fixture
def visit(site, tmp_path):
    """Open a page in a Chromium of its own; the reports, once all of them are there."""

    def visited(path):
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [shutil.which("chromium"), "--headless", *FLAGS, *sandbox, f"--user-data-dir={tmp_path}", site + path]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as chromium:
            try:
                return reports(site)
            finally:
                chromium.terminate()

    return visited


def reports(site):
    deadline = time.monotonic() + 240
    while True:
        with urlopen(f"{site}/reports") as answer:
            said = json.load(answer)
        if len(said) >= len(STAGES):
            return {one["stage"]: one for one in said}
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


@pytest.mark.parametrize("path", ["/before", "/before?deaf"])
def test_a_page_prerendered_before_the_no_and_activated_after_it(visit, path):
    """Its first frame is without the picture of the yes, also where it heard of no other tab and no answer came."""
    said = visit(path)

    assert [said[stage]["prerendering"] for stage in STAGES] == [True, False, False]
    assert [said[stage]["activated"] for stage in STAGES] == [False, True, True]
    assert said["loaded"]["colour"] == CONTEXTUAL
    assert said["activated"]["colour"] in (DEFAULT, NOTHING)
    assert said["settled"]["colour"] == DEFAULT
