"""The new machine's part of `edge enrol`: from a one-time code to a folder that a POP starts from.

    DATA/trust.json  DATA/rendition.key  DATA/svid/edge-<POP>/…  and the components, each verified by the trust file

Identity, trust file and rendition key come sealed under the code; the components over the mesh, under that identity.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from builder.release import exchange
from consent_core.clock import SystemClock
from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.formats.enrolment import (
    CodeKeys,
    Enrolled,
    enrolment_request,
    open_answer,
    read_code,
    write_enrolment,
)
from consent_core.formats.token import decode_base64url
from consent_core.trust.files import PRIVATE, SECRET_BYTES, write_atomically
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import Svid, new_key, public_der
from consent_core.trust.svid_source import FileSource
from consent_core.trust.trust_file import NO_LOG, TrustFile
from runtime_host.pop.process.renewing import JOINED
from runtime_host.wasm.loading import MAX_COMPONENT_BYTES, load_component

TIMEOUT_S = 30.0
ENROL = "/v1/enrol"

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Joined:
    """What a machine has now."""

    pop: str
    spiffe_id: str
    data: Path
    components: tuple[str, ...] = ()


def join(code: str, public_url: str, data: Path) -> Joined:
    """Trade the code for an identity and what goes with it.

    Raises: Rejected("enrolment-code" | "enrolment-refused" | …), Untrusted("enrolment-answer"), Unavailable.
    """
    pop, secret = read_code(code)
    key = new_key()
    request = enrolment_request(pop, secret, public_der(key))
    answer = open_answer(_asked(public_url, write_enrolment(request)), request, CodeKeys.of(secret))
    trust = TrustFile.from_bytes(answer.trust.encode())
    try:
        svid = Svid.of_pem(answer.chain.encode(), key, answer.bundle.encode())
    except ValueError as error:
        raise Untrusted("enrolment-answer", "the answer holds no certificate") from error
    if svid.spiffe_id != SpiffeId.of(trust.trust_domain, "edge", pop):
        raise Untrusted("enrolment-answer", f"the certificate is not {pop}'s")
    _keep(answer, svid, pop, data)
    return Joined(pop, str(svid.spiffe_id), data)


def fetch_components(joined: Joined, control_plane: str, components: Path, tell: Told) -> tuple[str, ...]:
    """Fetch every component that the control plane has, and verify each as a POP does at its start.

    Raises: Unavailable("control-plane-unreachable"), Untrusted("component-…").
    """
    components.mkdir(parents=True, exist_ok=True)
    try:
        return asyncio.run(_fetched(joined, control_plane, components, tell))
    except httpx.HTTPError as error:
        message = f"{control_plane}: {error}; --control-plane names its mesh listener"
        raise Unavailable("control-plane-unreachable", message) from error


def _asked(public_url: str, body: bytes) -> bytes:
    try:
        answer = httpx.post(f"{public_url.rstrip('/')}{ENROL}", content=body, timeout=TIMEOUT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        message = f"{public_url}: {error}; --from names the control plane's public listener"
        raise Unavailable("control-plane-unreachable", message) from error
    if answer.is_success:
        return answer.content
    try:
        told = answer.json()["error"]
        raise Rejected(str(told["code"]), str(told["message"]), status=answer.status_code)
    except (ValueError, KeyError, TypeError) as error:
        message = f"{public_url} answered {answer.status_code}: --from names the control plane's public listener"
        raise Unavailable("control-plane-failed", message) from error


def _keep(answer: Enrolled, svid: Svid, pop: str, data: Path) -> None:
    """The marker last: a folder without it has joined nothing."""
    key = decode_base64url(answer.rendition_key)
    if len(key) != SECRET_BYTES:
        raise Untrusted("enrolment-answer", "the rendition key has another length")
    place = data / "svid" / f"edge-{pop}"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(data / "trust.json", answer.trust.encode())
    write_atomically(data / "rendition.key", key, PRIVATE)
    svid.write(place)
    write_atomically(place / JOINED, b"")


async def _fetched(joined: Joined, control_plane: str, components: Path, tell: Told) -> tuple[str, ...]:
    source = FileSource(joined.data / "svid" / f"edge-{joined.pop}")
    trust = TrustFile.load(joined.data / "trust.json")
    async with mesh_client(source, SystemClock(), control_plane, role="control-plane") as client:
        listed = (await client.get("/v1/components")).raise_for_status().json()
        for name, files in listed.items():
            tell(name)
            with TemporaryDirectory(dir=components, prefix=".fetched-") as staged:
                folder = Path(staged) / name
                folder.mkdir()
                for file in files:
                    await _download(client, f"/v1/components/{name}/{file}", folder / Path(file).name)
                load_component(folder, trust, SystemClock().now(), NO_LOG)
                _place(folder, components / name)
    return tuple(listed)


async def _download(client: httpx.AsyncClient, path: str, target: Path) -> None:
    received = 0
    async with client.stream("GET", path) as answer:
        answer.raise_for_status()
        with target.open("wb") as file:
            async for part in answer.aiter_bytes(1 << 20):
                received += file.write(part)
                if received > MAX_COMPONENT_BYTES:
                    raise Untrusted("component-digest", f"{target.name}: more than {MAX_COMPONENT_BYTES} bytes")


def _place(folder: Path, target: Path) -> None:
    if target.exists():
        exchange(folder, target)
    else:
        folder.rename(target)
