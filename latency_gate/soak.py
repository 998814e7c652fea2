"""Start, memory and errors of one POP over 10⁵ requests, at least a tenth of which run in a fresh sandbox.

`wrk` drives the POP in slices; after each the POP's resident memory is read. Growth is the Theil-Sen slope after the
first 20,000 requests, so that caches have filled and one odd reading decides nothing.
"""

import re
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
from rich.console import Console

from fleet.processes import START_WAIT_S, Fleet, Member, PopSpec
from fleet.project import SHOP, prepare
from latency_gate.judge import BROKEN, OK, OVER, Row
from latency_gate.run import Progress
from latency_gate.stats import slope

MIB = 2**20
POP = "soak-1"
STARTS = 5
FRESH_EVERY = 8  # one request in eight names a page that was never seen: nothing memoised, a fresh sandbox

SCRIPT = """
local n, id = 0, 0
function setup(thread) thread:set("id", id); id = id + 1 end
function request()
  n = n + 1
  local page = n %% %d == 0 and string.format("/seen-once/%%d-%%d-%%s", id, n, "%s") or "/"
  return wrk.format("GET", "/v1/images/home-hero?w=768&section=water&path=" .. page,
                    {["Cookie"] = "%s", ["Accept"] = "image/avif,image/webp,*/*"})
end
"""
_REQUESTS = re.compile(r"(\d+) requests in")
_BAD = re.compile(r"(?:Non-2xx or 3xx responses: (\d+))|(?:Socket errors: connect (\d+), read (\d+), write (\d+))")


@dataclass(slots=True)
class Readings:
    """Requests served so far, and resident bytes at that point."""

    idle: int
    requests: list[int]
    resident: list[int]
    errors: int = 0


def run_soak(settings: dict[str, Any], place: Path, out: Console, progress: Progress) -> list[Row]:
    """Drive a POP of our own through `requests` and judge its memory."""
    stage = prepare(place / "edge", place / "components", out)
    spec = [PopSpec(POP, "EU")]
    with Fleet(stage.data, spec, site=SHOP / "site", components=stage.components) as fleet:
        starts = [_start(fleet.pops[POP]) for _ in range(STARTS)]
        member = fleet.pops[POP].process
        if member is None:
            raise RuntimeError("the POP has not been started")
        readings = _drive(fleet, psutil.Process(member.pid), int(settings["requests"]), place, progress)
        fresh = _fresh_sandboxes(fleet)
    begun = _row("pop start to in sync, warm", median(starts), settings["start_s"], "s", f"median of {STARTS}")
    return [begun, *judge(readings, fresh, settings)]


def _start(member: Member) -> float:
    """Seconds from the start of a POP that ran before to the moment at which it is ready: in sync, and serving."""
    member.kill()
    member.start()
    begun = time.monotonic()
    with httpx.Client() as client:
        while time.monotonic() - begun < START_WAIT_S:
            with suppress(httpx.HTTPError):
                if client.get(member.ready_url).is_success:
                    return time.monotonic() - begun
            time.sleep(0.01)
    raise RuntimeError(f"the POP does not start: {member.last_words()}")


def _drive(fleet: Fleet, process: psutil.Process, wanted: int, place: Path, progress: Progress) -> Readings:
    readings = Readings(process.memory_info().rss, [], [])
    served = turn = 0
    while served < wanted:
        turn += 1
        script = place / "soak.lua"
        script.write_text(SCRIPT % (FRESH_EVERY, turn, token_cookie(fleet.url(POP))))
        count, errors = _slice(fleet.url(POP), script)
        served += count
        readings.errors += errors
        readings.requests.append(served)
        readings.resident.append(process.memory_info().rss)
        progress(min(served, wanted), wanted)
    return readings


def _slice(url: str, script: Path) -> tuple[int, int]:
    """Five seconds of load: requests answered, and how many of them badly."""
    run = subprocess.run(
        ["wrk", "-t1", "-c4", "-d5s", "-s", str(script), url], capture_output=True, text=True, check=True
    )
    counted = _REQUESTS.search(run.stdout)
    bad = sum(int(number) for match in _BAD.findall(run.stdout) for number in match if number)
    return (int(counted.group(1)) if counted else 0), bad


def token_cookie(url: str) -> str:
    """A consenting visitor's token, as the cookie header carries it."""
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    answer = httpx.post(f"{url}/v1/consent", json={"grant": ["contextual"]}, headers=headers, timeout=60)
    answer.raise_for_status()
    token = next(cookie for cookie in answer.headers.get_list("set-cookie") if "consent-token=" in cookie)
    return token.partition(";")[0]


def _fresh_sandboxes(fleet: Fleet) -> float:
    """How many decisions ran in a sandbox, by the POP's own count."""
    page = httpx.get(f"{fleet.admin_url(POP)}/metrics", timeout=60).text
    found = re.findall(r"^consent_edge_sandbox_seconds_count\{[^}]*\} ([0-9.e+]+)", page, re.MULTILINE)
    return sum(float(value) for value in found)


def judge(readings: Readings, fresh: float, settings: dict[str, Any]) -> list[Row]:
    """Idle memory, growth after warm-up, errors, and that sandboxes really ran."""
    idle, grown = readings.idle / MIB, _growth(readings, int(settings["warm_up_requests"]))
    total = readings.requests[-1]
    share = fresh / total
    return [
        _row("pop memory, idle", idle, settings["idle_mib"], "MiB", f"last {readings.resident[-1] / MIB:.0f} MiB"),
        _row("pop memory growth per 10,000 requests", grown, settings["growth_mib"], "MiB", f"over {total} requests"),
        _row("errors", readings.errors, 0, "", f"of {total} requests"),
        Row("fresh sandboxes", OK if share >= settings["fresh_share"] else BROKEN, share, settings["fresh_share"], "",
            f"{fresh:.0f} of {total} requests, at least this share is wanted"),
    ]  # fmt: skip


def _growth(readings: Readings, warm_up: int) -> float:
    """MiB per 10,000 requests after the warm-up."""
    points = [(n, r) for n, r in zip(readings.requests, readings.resident, strict=True) if n >= warm_up]
    return slope([r / MIB for _, r in points], [n / 10_000 for n, _ in points])


def _row(name: str, measured: float, budget: float, unit: str, explanation: str) -> Row:
    return Row(name, OK if measured <= budget else OVER, measured, budget, unit, explanation)
