"""Compact JWS by the `bundle` key (ES256), and OPA's `.signatures.json` made with it.

A signature covers the name and SHA-256 of every file but itself. There is no way to open a bundle without one: the
trust file is not optional, so no setting can be half present (OPA's GHSA-g2pf-6v5v-qcc8).

Source: RFC 7515 section 3.1; openpolicyagent.org, "Bundles", section "Signing".
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.dsse import Signer
from consent_core.formats.token import Key, decode_base64url, encode_base64url

ROLE = "bundle"
ALGORITHM = "ES256"
SIGNATURES = ".signatures.json"
MAX_JWS_BYTES = 1_048_576


class Trust(Protocol):
    """What knows the public keys of each role: the trust file."""

    def keys(self, role: str, now: int | None = None) -> tuple[Key, ...]:
        """The keys of a role."""
        ...

    def verify(self, role: str, kid: str, message: bytes, signature: bytes, now: int, revoked: frozenset[str]) -> None:
        """Return if `kid` of `role`, valid at `now` and not `revoked`, signed `message`. Raises: Untrusted."""
        ...


def sign_compact(typ: str, payload: Mapping[str, Any], signer: Signer) -> str:
    """A compact JWS over canonical JSON."""
    header = encode_base64url(canonical_json({"alg": ALGORITHM, "kid": signer.kid, "typ": typ}))
    message = f"{header}.{encode_base64url(canonical_json(payload))}"
    return f"{message}.{encode_base64url(signer.sign(message.encode('ascii')))}"


def open_compact(text: str, typ: str, trust: Trust, now: int, revoked: frozenset[str]) -> dict[str, Any]:
    """The payload of a JWS of this type by a bundle key, valid at `now` (Unix seconds) and not `revoked`.

    Raises: Untrusted("bundle-signature" | "bundle-algorithm" | "bundle-key").
    """
    parts = text.split(".") if len(text) <= MAX_JWS_BYTES else []
    if len(parts) != 3:
        raise Untrusted("bundle-signature", "not a compact JWS")
    kid = _check_header(_object(parts[0]), typ)
    _check_key(kid, trust)
    try:
        trust.verify(ROLE, kid, f"{parts[0]}.{parts[1]}".encode("ascii"), _bytes(parts[2]), now, revoked)
    except Untrusted as error:
        raise Untrusted("bundle-signature", f"not signed by a bundle key: {error.message}") from error
    return _object(parts[1])


def claimed_time(text: str, member: str) -> int:
    """When a JWS says that it was made, in Unix seconds. Nothing of it is verified: only good as its key's time.

    Raises: Untrusted("bundle-signature" | "bundle-approval").
    """
    parts = text.split(".") if len(text) <= MAX_JWS_BYTES else []
    claimed = _object(parts[1]).get(member) if len(parts) == 3 else None
    if type(claimed) is not int:
        raise Untrusted("bundle-approval", f"{member}: expected Unix seconds")
    return claimed


def file_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 (hex) of every file but the signatures.

    OPA hashes JSON files in their canonical form; ours are written in that form, so both are the same bytes.
    """
    return {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files) if path != SIGNATURES}


def lines_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 over lines `<hex>  <path>`, sorted by path, as `sha256:<hex>`: one name for many files."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))
    return "sha256:" + hashlib.sha256(lines.encode("utf-8")).hexdigest()


def sign_files(files: Mapping[str, bytes], signer: Signer, at: int) -> bytes:
    """The content of `.signatures.json` for these files, signed at Unix time `at`."""
    listed = [{"algorithm": "SHA-256", "hash": h, "name": path} for path, h in file_digests(files).items()]
    return canonical_json({"signatures": [sign_compact("JWT", {"files": listed, "iat": at}, signer)]})


def signer_of(files: Mapping[str, bytes]) -> str:
    """The key id that the signature of these files names. Nothing is verified. Raises: Untrusted."""
    return _check_header(_object(_signature(files).split(".")[0]), "JWT")


def verify_files(files: Mapping[str, bytes], trust: Trust, now: int, revoked: frozenset[str]) -> None:
    """Return if a bundle key, valid at `now` and not `revoked`, signed exactly these files.

    Raises: Untrusted("bundle-unsigned" | "bundle-signature" | "bundle-algorithm" | "bundle-key" | "bundle-digest").
    """
    signed = _signed_digests(open_compact(_signature(files), "JWT", trust, now, revoked))
    present = file_digests(files)
    for path in sorted(signed.keys() | present.keys()):
        if path not in present:
            raise Untrusted("bundle-digest", f"{path} is signed but missing")
        if path not in signed:
            raise Untrusted("bundle-digest", f"{path} was added")
        if signed[path] != present[path]:
            raise Untrusted("bundle-digest", f"{path} was changed")


def _signature(files: Mapping[str, bytes]) -> str:
    if SIGNATURES not in files:
        raise Untrusted("bundle-unsigned", "no signature")
    signatures = _json(files[SIGNATURES]).get("signatures")
    if not isinstance(signatures, list) or not signatures:
        raise Untrusted("bundle-unsigned", "no signature")
    if len(signatures) != 1 or not isinstance(signatures[0], str):
        raise Untrusted("bundle-signature", "expected exactly one signature")
    return signatures[0]


def _signed_digests(payload: Mapping[str, Any]) -> dict[str, str]:
    signed: dict[str, str] = {}
    entries = payload.get("files")
    for entry in entries if isinstance(entries, list) else []:
        name, digest = _listed(entry)
        if name in signed:
            raise Untrusted("bundle-signature", f"{name} is signed twice")
        signed[name] = digest
    return signed


def _listed(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, dict) or entry.get("algorithm") != "SHA-256":
        raise Untrusted("bundle-signature", "files are listed with their SHA-256")
    name, digest = entry.get("name"), entry.get("hash")
    if not isinstance(name, str) or not isinstance(digest, str):
        raise Untrusted("bundle-signature", "files are listed with their SHA-256")
    return name, digest


def _check_header(header: Mapping[str, Any], typ: str) -> str:
    if header.get("alg") != ALGORITHM:
        raise Untrusted("bundle-algorithm", f"expected {ALGORITHM}")
    if not header.keys() <= {"alg", "kid", "typ"} or header.get("typ", typ) != typ:
        raise Untrusted("bundle-signature", f"expected the header alg, kid and typ {typ}")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise Untrusted("bundle-key", "the signature names no key")
    return kid


def _check_key(kid: str, trust: Trust) -> None:
    key = next((key for key in trust.keys(ROLE) if key.kid == kid), None)
    if key is None:
        raise Untrusted("bundle-key", "the trust file knows no such bundle key")
    if key.algorithm != "es256":
        raise Untrusted("bundle-algorithm", f"the key is for {key.algorithm}")


def _object(part: str) -> dict[str, Any]:
    return _json(_bytes(part))


def _json(data: bytes) -> dict[str, Any]:
    try:
        return read_json_object(data, MAX_JWS_BYTES)
    except Untrusted as error:
        raise Untrusted("bundle-signature", error.message) from error


def _bytes(part: str) -> bytes:
    try:
        return decode_base64url(part)
    except Rejected as error:
        raise Untrusted("bundle-signature", error.message) from error
