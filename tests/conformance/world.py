"""What every host of the suite sees: one control plane, one site, one set of secrets, and what the wire may do to it.

The control plane is the real one; its edge state goes out over a socket for hosts that are processes of their own.
"""

import json
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import numpy as np

from consent_core.clock import SystemClock
from consent_core.formats.catalogue import parse_catalogue
from consent_core.formats.edge_site import EdgeSite
from consent_core.formats.edge_state import sign_edge_state
from consent_core.formats.revocation import subject_of
from consent_core.formats.token import encode_base64url
from consent_core.policy.sources import read_sources
from consent_core.trust.keys import KeyStore
from control_plane.api.edge_state import EdgeStates
from control_plane.app import create_app
from control_plane.policies.publishing import publish_sources
from control_plane.settings import Settings
from runtime_host.pop.images.libvips import Image
from runtime_host.pop.images.loading import LoadedCatalogue, load_catalogue

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "demo" / "catalogue.toml"
GEO_HEADER = "x-geo"
COOKIE = "__Host-consent-token"
POP_KEY, RENDITION_KEY = bytes(range(32)), bytes(range(32, 64))
CONDITIONS = ("fresh", "stale", "forged", "garbled", "silent")


def visitor(number: int) -> str:
    """The `sub` of test visitor `number`."""
    return encode_base64url(number.to_bytes(16, "big"))


REVOKED, PARTLY, PURGED = visitor(7), visitor(8), visitor(9)


@dataclass
class World:
    """One deployment. `condition`: what the control plane's word looks like when an edge asks for it."""

    directory: Path
    condition: str = "fresh"

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.plane = create_app(Settings(data=self.directory / "data", clock=self.clock))
        self.trust = self.plane.keys.trust_file()
        self.strangers = KeyStore.open(self.directory / "strangers", create=True)
        self.states = EdgeStates(self.plane.log, self.plane.policies, self.plane.keys, self.clock)
        self.first_policy = self.plane.policies.bundle().hash
        self._publish_another()
        self._revoke()
        self.catalogue = _loaded(self.directory / "art")

    @property
    def policy(self) -> str:
        """The hash in force."""
        return self.plane.policies.bundle().hash

    @cached_property
    def site(self) -> EdgeSite:
        """What the edges may show."""
        return EdgeSite.of(self.catalogue.catalogue, self.catalogue.sources, self.catalogue.fonts)

    def token(self, *scopes: str, signer: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token as the control plane issues it; a claim that is None is left out."""
        now = self.clock.now()
        values = {
            "iss": self.trust.issuer, "aud": "edge", "sub": visitor(1), "iat": now, "exp": now + 300, "jti": "t-1",
            "ver": 1, "scopes": list(scopes), "region": "tokyo-1", "hash": self.policy, **claims,
        }  # fmt: skip
        key = signer or self.plane.keys.current("token")
        named = {"typ": "consent+jwt", "kid": self.plane.keys.current("token").kid, **(header or {})}
        return jwt.encode({k: v for k, v in values.items() if v is not None}, key.private, "EdDSA", headers=named)

    def environment(self, control_plane: str) -> dict[str, str]:
        """What a portable edge is told."""
        return {
            "CONSENT_EDGE_CONTROL_PLANE": control_plane,
            "CONSENT_EDGE_TRUST": self.trust.to_bytes().decode(),
            "CONSENT_EDGE_SITE": self.site.to_bytes().decode(),
            "CONSENT_EDGE_RENDITION_KEY": encode_base64url(RENDITION_KEY),
            "CONSENT_EDGE_POP_KEY": encode_base64url(POP_KEY),
            "CONSENT_EDGE_JURISDICTION": "EU",
            "CONSENT_EDGE_GEO_HEADER": GEO_HEADER,
            "CONSENT_EDGE_KEEP_S": "0",
        }

    def edge_state(self) -> bytes | None:
        """The control plane's word, in the present condition; None: no answer."""
        if self.condition == "silent":
            return None
        if self.condition == "stale":
            state = self.states.state()
            return sign_edge_state(replace(state, at=state.at - 60), self.plane.keys.current("log"))
        if self.condition == "forged":
            stranger = self.strangers.current("log")
            return sign_edge_state(self.states.state(), _Named(self.plane.keys.current("log").kid, stranger))
        body = self.states.current().body
        return body.replace(b'"head":', b'"heed":') if self.condition == "garbled" else body

    def close(self) -> None:
        """Close the store."""
        self.plane.close()

    def _publish_another(self) -> None:
        sources = read_sources(ROOT / "policies", ROOT / "legal")
        publish_sources(self.plane.policies, self.plane.database, self.plane.keys, sources, "tests", self.clock.now())

    def _revoke(self) -> None:
        with self.plane.log.writing() as writing:
            writing.append("session", subject_of(REVOKED), ("contextual", "behavioral", "experimental"), 2)
            writing.append("session", subject_of(PARTLY), ("behavioral",), 2)
            writing.append("purge", subject_of(PURGED), ("contextual", "behavioral", "experimental"), 2**53 - 1)


@dataclass(frozen=True)
class _Named:
    """Somebody else's key under our key's name."""

    kid: str
    other: Any

    def sign(self, message: bytes) -> bytes:
        return self.other.sign(message)


class StateServer:
    """The control plane's public listener, as far as edges need it, on a free port of this machine."""

    def __init__(self, world: World) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = world.edge_state() if self.path == "/v1/edge-state" else None
                self.send_response(200 if body else 503)
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.authority = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.authority}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _loaded(directory: Path) -> LoadedCatalogue:
    """The demo's own catalogue over plain grey pictures."""
    directory.mkdir(parents=True)
    assets = parse_catalogue(CATALOGUE.read_bytes()).assets.values()
    for grey, asset in enumerate(assets):
        picture = Image.new_from_array(np.full((80, 120, 3), grey * 7, np.uint8), interpretation="srgb")
        picture.write_to_file(str(directory / asset.file))
    return load_catalogue(CATALOGUE, directory)


def as_text(value: Any) -> str:
    """JSON for a report."""
    return json.dumps(value, indent=1, sort_keys=True)
