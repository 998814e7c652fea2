"""`wrk` on a POP while every certificate of the mesh and the token key are renewed: no request fails."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from rich.console import Console

from consent_core.trust.files import write_atomically
from edge_cli.operator import Operator
from fleet.processes import Fleet, PopSpec
from fleet.project import SHOP, prepare

POP = "osaka-1"
SVID_TTL_S = 16  # renewed every eight seconds: three times within the run
SECONDS = 30

# Seven answers of eight are images for a visitor's newest token; the eighth is a consent, which goes to the control
# plane over the mesh. A token comes out of a file, because wrk shows a script one Set-Cookie of two.
SCRIPT = """
local n, image = 0, {["Accept"] = "image/webp"}
local consent = {["Content-Type"] = "application/json", ["Sec-Fetch-Site"] = "same-origin"}
function setup(thread) threads = threads or {}; table.insert(threads, thread) end
function init() refused, default, codes = 0, 0, "" end
function request()
  n = n + 1
  if n %% 8 == 0 then return wrk.format("POST", "/v1/consent", consent, '{"grant": ["contextual"]}') end
  if n %% 20 == 1 then
    local file = io.open("%s")
    image["Cookie"] = file:read("*l")
    file:close()
  end
  return wrk.format("GET", "/v1/images/home-hero?w=480&section=water&path=/", image)
end
function response(status, headers)
  local code = headers["consent-edge-code"]
  if status >= 400 then refused = refused + 1 elseif code then default = default + 1 end
  if status >= 400 or code then codes = codes .. " " .. status .. ":" .. (code or "-") end
end
function done(summary)
  local e, thread = summary.errors, threads[1]
  print(string.format("answers=%%d socket=%%d refused=%%d default=%%d codes=[%%s]", summary.requests,
    e.connect + e.read + e.write + e.timeout, thread:get("refused"), thread:get("default"), thread:get("codes")))
end
"""


def visit(url: str, file: Path) -> None:
    """A new visitor consents; their token is the one that requests carry from now on."""
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    answer = httpx.post(f"{url}/v1/consent", json={"grant": ["contextual"]}, headers=headers, timeout=60)
    answer.raise_for_status()
    cookie = next(value for value in answer.headers.get_list("set-cookie") if "consent-token=" in value)
    write_atomically(file, cookie.partition(";")[0].encode() + b"\n")


def serials(data: Path) -> dict[str, int]:
    """Each identity's certificate as it is now."""
    pages = {path.parent.name: path.read_bytes() for path in (data / "svid").glob("*/cert.pem")}
    return {name: x509.load_pem_x509_certificate(page).serial_number for name, page in pages.items()}


@pytest.mark.slow
def test_no_request_fails_while_certificates_and_the_token_key_are_renewed(tmp_path: Path) -> None:
    """`wrk -c 8 -d 30s` over two SVID rotations of POP and control plane, and one rotation of the token key."""
    stage = prepare(tmp_path / "edge", tmp_path / "components", Console(file=sys.stderr))
    ttl = ("--svid-ttl", str(SVID_TTL_S))
    token, script = tmp_path / "token", tmp_path / "visitors.lua"
    script.write_text(SCRIPT % token)
    seen: dict[str, set[int]] = {}
    rotated: str | None = None
    with Fleet(stage.data, [PopSpec(POP, "EU", options=ttl)], site=SHOP / "site", components=stage.components,
               plane_options=ttl) as fleet:  # fmt: skip
        visit(fleet.url(POP), token)
        began = time.monotonic()
        load = subprocess.Popen(
            ["wrk", "-t1", "-c8", "--timeout", "60s", f"-d{SECONDS}s", "-s", str(script), fleet.url(POP)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        while load.poll() is None:
            for name, serial in serials(stage.data).items():
                seen.setdefault(name, set()).add(serial)
            if rotated is None and time.monotonic() - began > SECONDS / 2:
                rotated = Operator(stage.data, "rotator", fleet.mesh_url).post("/v1/keys/token/rotate")["kid"]
            visit(fleet.url(POP), token)
            time.sleep(0.2)
        report = load.communicate()[0]
        followed = {key["kid"] for key in json.loads((stage.data / "pops" / POP / "jwks.json").read_bytes())["keys"]}

    found = re.search(r"answers=(\d+) socket=(\d+) refused=(\d+) default=(\d+)", report)
    assert found, report
    answers, socket, refused, default = map(int, found.groups())
    assert (socket, refused, default) == (0, 0, 0), report
    assert answers > 100
    assert rotated in followed
    mesh = [name for name in seen if name.startswith(("edge-", "control-plane"))]
    assert len(mesh) == 2
    assert {name: len(seen[name]) >= 3 for name in mesh} == dict.fromkeys(mesh, True)
