"""The page `/docs` of the control plane, in a real browser."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from control_plane.process import serving
from control_plane.settings import Settings
from latency_gate.browser import chromium

SHOT = Path("build/screenshots/control-plane-docs.png")


@pytest.fixture
def public_url(tmp_path) -> Iterator[str]:
    """A control plane in a thread of its own."""
    began, found = threading.Event(), {}

    async def run() -> None:
        stop = asyncio.Event()
        async with serving(Settings(data=tmp_path, public_port=0, mesh_port=0)) as running:
            found.update(port=running.public_port, stop=stop, loop=asyncio.get_running_loop())
            began.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert began.wait(120)
    yield f"http://127.0.0.1:{found['port']}"
    found["loop"].call_soon_threadsafe(found["stop"].set)
    thread.join()


def test_the_page_shows_the_routes(public_url):
    """An old Swagger UI said "Unable to render this definition"; nothing is fetched from elsewhere."""
    with chromium() as browser:
        page = browser.new_page()
        requested: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(f"{public_url}/docs")
        page.wait_for_selector(".opblock-summary-path", timeout=120_000)
        SHOT.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOT)
        text = page.inner_text("body")

    assert "Unable to render" not in text
    assert "/v1/revocations" in text.replace("\u200b", "")
    assert [url for url in requested if not url.startswith((public_url, "data:"))] == []
    assert complaints == []


def test_no_site_may_frame_it_and_no_other_script_runs(public_url):
    """Its own inline script by digest, everything else refused."""
    policy = httpx.get(f"{public_url}/docs", timeout=60).headers["content-security-policy"]

    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self' 'sha256-" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
