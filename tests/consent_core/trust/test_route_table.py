"""The role × route table of `docs/zero-trust.md`, tried cell by cell through the real guard and the shipped policy."""

import asyncio
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from consent_core.clock import SystemClock
from consent_core.formats.attester import Line, write_lines
from consent_core.formats.token import encode_base64url
from consent_core.http.asgi import Scope
from consent_core.policy.authorizer import policy_authorizer
from consent_core.policy.rego import Rego
from consent_core.trust.mesh import GuardSettings, MeshGuard
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa

ROOT = Path(__file__).parents[3]
ROLES = ("edge", "control-plane", "device", "operator")
MINE, OTHER = "tokyo-1", "osaka-1"
ATTESTATIONS = "/v1/attestations"
ROW = re.compile(r"\| `(GET|POST|DELETE) (/[^`]*)` \|(.*)\|")


def table() -> Iterator[tuple[str, str, str, str]]:
    """Method, path, role and what the cell says."""
    for line in (ROOT / "docs/zero-trust.md").read_text().splitlines():
        if row := ROW.fullmatch(line):
            cells = [cell.strip() for cell in row[3].split("|")]
            yield from ((row[1], row[2], role, cell) for role, cell in zip(ROLES, cells, strict=True))


CELLS = list(table())
ROUTES = sorted({(method, path) for method, path, _, _ in CELLS})


def filled(path: str) -> str:
    """A route's pattern with everything but the POP's name filled in."""
    return path.replace("{sub}", "A" * 22).replace("{seq}", "7").replace("{role}", "token")


@cache
def rego() -> Rego:
    policies = ROOT / "policies"
    names = [path for path in policies.rglob("*.rego") if not path.name.endswith("_test.rego")]
    files = {str(path.relative_to(policies)): path.read_bytes() for path in (*names, policies / "data.json")}
    return Rego(files)


@cache
def authority(directory: Path) -> DevelopmentCa:
    return DevelopmentCa.open(directory, "ui-tools", create=True)


@cache
def certificate(directory: Path, role: str) -> str:
    leaf = authority(directory).issue(SpiffeId.of("ui-tools", role, MINE)).leaf
    return leaf.public_bytes(Encoding.PEM).decode()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ca")


def attested(issuer: str) -> bytes:
    """A line that says who it is by; nothing here looks at its signature."""
    payload = encode_base64url(json.dumps({"iss": issuer}).encode())
    return write_lines([Line("attestation", f"e30.{payload}.e30")])


def call(directory: Path, role: str, method: str, path: str, region: str = MINE, scope: str = "contextual") -> str:
    """`allowed`, or the code of the refusal."""
    reached: list[Scope] = []
    sent: list[Any] = []

    async def application(asked: Scope, receive: Any, send: Any) -> None:
        reached.append(asked)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def scopes(_: Scope) -> tuple[str, ...]:
        return ("contextual",)

    async def receive() -> Any:
        body = json.dumps({"slot": "home-hero", "payload": {"scope": scope}, "region": region}).encode()
        if path == ATTESTATIONS:
            body = attested(f"spiffe://ui-tools/{role}/{region}")
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    settings = GuardSettings("ui-tools", SystemClock(), policy_authorizer(rego().evaluate), token_scopes=scopes)
    tls = {"tls": {"client_cert_chain": (certificate(directory, role),)}}
    asked = {"type": "http", "method": method, "path": path, "headers": [], "extensions": tls}
    asyncio.run(MeshGuard(application, settings)(asked, receive, send))
    if reached:
        assert reached[0]["state"]["peer"].role == role
        return "allowed"
    return str(json.loads(sent[1]["body"])["error"]["code"])


@pytest.mark.parametrize(("method", "path", "role", "cell"), CELLS, ids=lambda value: value or "-")
def test_each_cell_of_the_table_holds(directory: Path, method: str, path: str, role: str, cell: str) -> None:
    """What the table says is what happens, for the caller's own region and for another's."""
    concrete = filled(path)
    mine = call(directory, role, method, concrete.replace("{pop}", MINE))
    assert mine == ("allowed" if cell else "forbidden-route")
    if cell == "own" and "{pop}" in path:
        assert call(directory, role, method, concrete.replace("{pop}", OTHER)) == "forbidden-route"
    if cell == "own" and path == ATTESTATIONS:
        assert call(directory, role, method, concrete, region=OTHER) == "forbidden-route"
    if cell == "scope":
        assert call(directory, role, method, concrete, region=OTHER) == "forbidden-route"
        assert call(directory, role, method, concrete, scope="behavioral") == "forbidden-route"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_methods_outside_the_table_are_refused(directory: Path, role: str, method: str) -> None:
    """Every route of the table under every method that it does not list, and routes nobody listed."""
    listed = {path for wanted, path in ROUTES if wanted == method}
    paths = {path for _, path in ROUTES} - listed | {"/", "/v1", "/v1/consents/a/b/c", "/healthz", "/metrics", "/admin"}
    concrete = {filled(path).replace("{pop}", MINE) for path in paths}

    assert {call(directory, role, method, path) for path in concrete} == {"forbidden-route"}


def test_the_table_names_every_route_of_the_mesh(tmp_path: Path) -> None:
    """A route that is served and not in the table would be a hole in this page."""
    from control_plane.app import create_app
    from control_plane.settings import Settings

    plane = create_app(Settings(data=tmp_path))
    served = {
        (method.upper(), path) for path, methods in plane.mesh_app.openapi()["paths"].items() for method in methods
    }
    plane.close()

    assert served <= set(ROUTES)
