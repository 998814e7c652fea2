"""What a deployment tells this component, through the host's environment. Documented in `docs/edges.md`."""

import json
from typing import NamedTuple
from urllib.parse import urlsplit

from twins import verify_signature

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.edge_site import EdgeSite
from consent_core.formats.fields import UNKNOWN_JURISDICTION, is_jurisdiction
from consent_core.formats.rendition import RenditionKey
from consent_core.formats.token import decode_base64url

PREFIX = "CONSENT_EDGE_"
TOKEN_COOKIES = {"1": b"__Host-consent-token", "0": b"consent-token"}
POP_KEY_BYTES = 32
ALGORITHM = "ed25519"  # of the log's keys


class LogTrust(NamedTuple):
    """The trust file as far as this component needs it: who issues tokens, and the log's keys by kid."""

    issuer: str
    keys: dict[str, tuple[bytes, int, int | None]]
    revoked: frozenset[str] = frozenset()  # the keys that the trust file says are

    def verify(self, role: str, kid: str, message: bytes, signature: bytes, now: int, revoked: frozenset[str]) -> None:
        """Return if that log key, valid at `now` and not `revoked`, signed the message. Raises: Untrusted(trust-…)."""
        if role != "log" or kid not in self.keys:
            raise Untrusted("trust-key-unknown", "no log key of that id in the trust file")
        if kid in revoked:
            raise Untrusted("trust-key-revoked", "the log key was revoked")
        key, not_before, not_after = self.keys[kid]
        if now < not_before or (not_after is not None and now >= not_after):
            raise Untrusted("trust-key-expired", "the log key was not valid at that time")
        try:
            verify_signature(ALGORITHM, key, message, signature)
        except Rejected as error:
            raise Untrusted("trust-signature", "not signed by the log key it names") from error


class Settings(NamedTuple):
    """One deployment. `authority`: host and port of the control plane; `keep_s`: how long a state may serve again."""

    scheme: str
    authority: str
    trust: LogTrust
    site: EdgeSite
    rendition_key: RenditionKey
    pop_key: bytes
    jurisdiction: str
    geo_header: bytes | None
    cookie: bytes
    keep_s: int


def read_settings(environment: dict[str, str]) -> Settings:
    """Settings from the variables `CONSENT_EDGE_…`. Raises: Rejected("edge-site", 503), without their values."""
    said = {name.removeprefix(PREFIX): value for name, value in environment.items() if name.startswith(PREFIX)}
    try:
        plane = urlsplit(said["CONTROL_PLANE"])
        jurisdiction = said.get("JURISDICTION", UNKNOWN_JURISDICTION)
        if plane.scheme not in ("http", "https") or not plane.netloc or not is_jurisdiction(jurisdiction):
            raise ValueError("control plane or jurisdiction")
        return Settings(
            scheme=plane.scheme,
            authority=plane.netloc,
            trust=_read_trust(said["TRUST"]),
            site=EdgeSite.from_bytes(said["SITE"]),
            rendition_key=RenditionKey("k1", decode_base64url(said["RENDITION_KEY"])),
            pop_key=_read_pop_key(said["POP_KEY"]),
            jurisdiction=jurisdiction,
            geo_header=said["GEO_HEADER"].lower().encode("ascii") if "GEO_HEADER" in said else None,
            cookie=TOKEN_COOKIES[said.get("SECURE_COOKIES", "1")],
            keep_s=int(said.get("KEEP_S", "1")),
        )
    except (KeyError, ValueError, TypeError, Rejected) as error:
        raise Rejected("edge-site", "this edge is not configured; see docs/edges.md", status=503) from error


def _read_pop_key(text: str) -> bytes:
    key = decode_base64url(text)
    if len(key) != POP_KEY_BYTES:
        raise ValueError("POP key")
    return key


def _read_trust(text: str) -> LogTrust:
    value = json.loads(text)
    keys = {
        key["kid"]: (decode_base64url(key["key"]), key["not_before"], key["not_after"])
        for key in value["keys"]["log"]
        if key["algorithm"] == ALGORITHM
    }
    revoked = frozenset(entry["kid"] for entry in value.get("revoked", ()))
    return LogTrust(value["issuer"], keys, revoked)
