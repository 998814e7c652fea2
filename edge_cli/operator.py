"""An operator's calls to the control plane: over the mesh, under an SVID of the data directory.

    operator = Operator(Path(".edge"), "ann", "https://127.0.0.1:7443")
    entry = operator.post("/v1/revocations", {"kind": "session", "sub": "p7Jx…"})

What the control plane refuses is raised here with its own code.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import stamina

from consent_core.clock import SystemClock
from consent_core.errors import ConsentEdgeError, Rejected, Unavailable
from consent_core.formats import subject
from consent_core.formats.canonical import canonical_json
from consent_core.policy.bundle import open_bundle
from consent_core.policy.publish import PolicyRelease, Published, publish
from consent_core.policy.sources import Sources
from consent_core.trust.keys import KeyStore
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import SvidSource, open_source
from consent_core.trust.tls import refusal_code
from consent_core.trust.trust_file import NO_LOG, TrustFile

BUNDLE = "/v1/policy/bundle"
MAX_PREVIOUS = 256  # policy hashes a bundle names as its forerunners
LOOK_S = 0.2  # between two looks at how many receipts have come


@dataclass(frozen=True, slots=True)
class Operator:
    """Who calls, and whom. `name` is the last segment of `spiffe://<trust domain>/operator/<name>`."""

    data: Path
    name: str
    control_plane: str
    spire_socket: str | None = None  # the SPIFFE Workload API; None: the development CA of the data directory

    @property
    def trust(self) -> TrustFile:
        """The trust file of the data directory. Raises: Unavailable, Untrusted."""
        return TrustFile.load(self.data / "trust.json")

    @property
    def spiffe_id(self) -> SpiffeId:
        """Raises: Rejected("spiffe-id") for a name that cannot be part of one."""
        return SpiffeId.of(self.trust.trust_domain, "operator", self.name)

    def get(self, path: str) -> Any:
        """The JSON of a route."""
        return self._call("GET", path).json()

    def post(self, path: str, value: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """The JSON that a route answers to JSON."""
        content = None if value is None else canonical_json(value)
        return self._call("POST", path, content=content, params=query).json()

    def post_for_bytes(self, path: str, value: Mapping[str, Any]) -> bytes:
        """The bytes that a route answers to JSON."""
        return self._call("POST", path, content=canonical_json(value)).content

    def get_bytes(self, path: str) -> bytes:
        """The bytes of a route."""
        return self._call("GET", path).content

    def post_bytes(self, path: str, body: bytes) -> Any:
        """The JSON that a route answers to bytes."""
        return self._call("POST", path, content=body).json()

    def publish(self, sources: Sources) -> Published:
        """Test, evaluate and sign the sources as the next revision, and put it in force."""
        now, trust = SystemClock().now(), self.trust
        in_force = open_bundle(self._call("GET", BUNDLE).content, trust, now, NO_LOG, min_revision=1)
        release = PolicyRelease(
            revision=in_force.revision + 1,
            approver=str(self.spiffe_id),
            at=now,
            previous=(in_force.hash, *in_force.previous)[:MAX_PREVIOUS],
        )
        published = publish(sources, KeyStore.open(self.data).current("bundle"), trust, release)
        self._call("POST", BUNDLE, content=published.data)
        return published

    def receipts(self, seq: int, wait_s: float, seen: Callable[[int, int], None] = lambda *_: None) -> dict[str, Any]:
        """What each POP says of a purge, once all have answered or the time is over.

        `seen` is told how many receipts have come, and of how many POPs.
        """
        told: dict[str, Any] = {}

        @stamina.retry(on=_OwedError, timeout=max(wait_s, LOOK_S), attempts=None, wait_initial=LOOK_S, wait_max=LOOK_S)
        def ask() -> None:
            told.update(self.get(f"/v1/revocations/{seq}/receipts"))
            seen(sum(pop["receipt"] is not None for pop in told["pops"]), len(told["pops"]))
            if any(owed(told)):
                raise _OwedError

        with suppress(_OwedError):
            ask()
        return told

    def _call(self, method: str, path: str, **how: Any) -> httpx.Response:
        return asyncio.run(self._acall(method, path, **how))

    async def _acall(self, method: str, path: str, **how: Any) -> httpx.Response:
        source = open_source(self.data, self.spiffe_id, endpoint_socket=self.spire_socket, clock=SystemClock())
        return await call(source, self.control_plane, method, path, **how)


async def call(source: SvidSource, control_plane: str, method: str, path: str, **how: Any) -> httpx.Response:
    """One call of the mesh under an SVID. Raises: ConsentEdgeError with the control plane's own code, Unavailable."""
    async with mesh_client(source, SystemClock(), control_plane, role="control-plane") as client:
        try:
            response = await client.request(method, path, **how)
        except httpx.HTTPError as error:
            code = refusal_code(error)
            if code is not None:
                raise ConsentEdgeError(code, "the control plane refused this identity") from error
            raise Unavailable("control-plane-unreachable", f"{control_plane}: {error}") from error
    return _accepted(response)


class _OwedError(Exception):
    pass


def owed(told: Mapping[str, Any]) -> Iterator[str]:
    """The POPs whose receipt has not come yet, and the control plane while it owes a count."""
    yield from (pop["pop"] for pop in told["pops"] if pop["receipt"] is None)
    if told.get("control_plane", ()) is None:
        yield "control-plane"


def person(sub: str) -> dict[str, str]:
    """How a request names a visitor: by pseudonym, or by `subject` as receipts and the log do."""
    is_subject = len(sub) == 64 and set(sub) <= set("0123456789abcdef")
    return {"subject": sub} if is_subject else {"sub": sub}


def subject_of(named: Mapping[str, str]) -> str:
    """The visitor's name in the log, from what `person` made."""
    return named.get("subject") or subject.subject_of(named["sub"])


def _accepted(response: httpx.Response) -> httpx.Response:
    """The answer, unless it says no. Raises: ConsentEdgeError with the control plane's own code."""
    if response.is_success:
        return response
    try:
        error = response.json()["error"]
        raise ConsentEdgeError(str(error["code"]), str(error["message"]))
    except (ValueError, KeyError, TypeError) as failure:
        raise Rejected("control-plane-refused", f"status {response.status_code}") from failure
