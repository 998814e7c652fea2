"""The control plane's private signing keys, one file per role, and the trust file that publishes their halves.

    store = KeyStore.open(Path(".edge"), create=True)
    signature = store.current("token").sign(message)
    store.rotate("token", overlap_s=600)

`directory` is the data directory: private keys live in `keys/<role>.json` (mode 0600), the public halves in
`trust.json`. Trust in this store: a process that reads `keys/` can speak for the control plane.

Several processes may open one directory at once: changes are made under a lock, files are replaced whole, and
`current` notices a rotation by another process.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consent_core.clock import Clock, SystemClock
from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.token import decode_base64url, encode_base64url
from consent_core.trust.files import PRIVATE, locked, write_atomically
from consent_core.trust.trust_file import ROLES, TrustedKey, TrustFile

MAX_KEY_FILE_BYTES = 1_048_576
CLOCK_SKEW_S = 60  # a verifier's clock may be this much behind the one that rotates

_PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of one role. `public_key`: 32 raw bytes (ed25519) or 65 of SEC 1, uncompressed (es256)."""

    role: str
    kid: str
    algorithm: str
    public_key: bytes
    not_before: int
    not_after: int | None
    private: _PrivateKey

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes: RFC 8032, or r and s of RFC 7518 section 3.4."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(message)
        r, s = decode_dss_signature(self.private.sign(message, ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def __repr__(self) -> str:
        return f"SigningKey({self.kid})"

    @property
    def public(self) -> TrustedKey:
        """What others may know."""
        return TrustedKey(self.role, self.kid, self.algorithm, self.public_key, self.not_before, self.not_after)


class KeyStore:
    """Signing keys by role under one data directory. `_read` is owned by `all`: file stamp and keys per role."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._read: dict[str, tuple[tuple[int, ...], tuple[SigningKey, ...]]] = {}

    @classmethod
    def open(cls, directory: Path, create: bool = False, clock: Clock | None = None) -> "KeyStore":
        """The keys of a data directory; with `create`, a role that has none gets one.

        Raises: Unavailable("keys-missing"), Untrusted("keys-malformed").
        """
        store = cls(directory, clock or SystemClock())
        if create:
            store._create_missing()
        for role in ROLES:
            store.all(role)
        return store

    def current(self, role: str) -> SigningKey:
        """The newest key of the role that is already valid: the one to sign with."""
        now = self._clock.now()
        for key in reversed(self.all(role)):
            if key.public.valid_at(now):
                return key
        raise Unavailable("keys-missing", f"no {role} key is valid now")

    def all(self, role: str) -> tuple[SigningKey, ...]:
        """Every key of the role, oldest first, including those that rotation has put out of force."""
        path = self._path(role)
        try:
            status = path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if role not in self._read or self._read[role][0] != stamp:
                self._read[role] = (stamp, _read_keys(role, path.read_bytes()))
        except OSError as error:
            raise Unavailable("keys-missing", f"cannot read the {role} keys: {error.strerror}") from error
        return self._read[role][1]

    def rotate(self, role: str, overlap_s: int) -> SigningKey:
        """Sign with a new key from now on; what older keys signed stays good for `overlap_s` seconds."""
        with locked(self._keys):
            now = self._clock.now()
            key = _generate(role, now - CLOCK_SKEW_S)
            self._write(role, (*(_ending(old, now + overlap_s) for old in self.all(role)), key))
            self._publish(self.trust_file())
        return key

    def revoke(self, kid: str) -> None:
        """Let the trust file say that nothing signed by this key from now on counts; the first such word stays."""
        with locked(self._keys):
            trust = self.trust_file()
            if kid not in trust.revoked:
                self._publish(replace(trust, revoked={**trust.revoked, kid: self._clock.now()}))

    def trust_file(self) -> TrustFile:
        """The public halves of all keys, with the settings of `trust.json`."""
        keys = tuple(key.public for role in ROLES for key in self.all(role))
        path = self._directory / "trust.json"
        return (TrustFile.load(path) if path.exists() else TrustFile(keys)).with_keys(keys)

    def set_trust(self, **settings: Any) -> TrustFile:
        """Change settings of the trust file by field name (`issuer`, `minimum_epochs`, …) and publish it."""
        with locked(self._keys):
            trust = replace(self.trust_file(), **settings)
            self._publish(trust)
        return trust

    @property
    def _keys(self) -> Path:
        return self._directory / "keys"

    def _path(self, role: str) -> Path:
        if role not in ROLES:
            raise ValueError(f"no role {role}: expected one of {', '.join(ROLES)}")
        return self._keys / f"{role}.json"

    def _create_missing(self) -> None:
        self._keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self._keys):
            for role in ROLES:
                if not self._path(role).exists():
                    self._write(role, (_generate(role, 0),))  # the first key of a role has no beginning
            trust = self.trust_file()
            path = self._directory / "trust.json"
            if not path.exists() or path.read_bytes() != trust.to_bytes():
                self._publish(trust)

    def _write(self, role: str, keys: tuple[SigningKey, ...]) -> None:
        value = {"role": role, "keys": [_key_value(key) for key in keys]}
        write_atomically(self._path(role), canonical_json(value), PRIVATE)

    def _publish(self, trust: TrustFile) -> None:
        data = trust.to_bytes()
        TrustFile.from_bytes(data)  # never publish a file that no reader takes
        write_atomically(self._directory / "trust.json", data)


def _generate(role: str, now: int) -> SigningKey:
    private = Ed25519PrivateKey.generate() if ROLES[role] == "ed25519" else generate_private_key(SECP256R1())
    return _signing_key(role, private, now, None)


def _signing_key(role: str, private: _PrivateKey, not_before: int, not_after: int | None) -> SigningKey:
    public = _public_bytes(private)
    kid = f"{role}-{hashlib.sha256(public).hexdigest()[:16]}"
    return SigningKey(role, kid, ROLES[role], public, not_before, not_after, private)


def _public_bytes(private: _PrivateKey) -> bytes:
    if isinstance(private, Ed25519PrivateKey):
        return private.public_key().public_bytes_raw()
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _ending(key: SigningKey, at: int) -> SigningKey:
    """A key never lives longer by a second rotation, and never ends before it began: the clock may have gone back."""
    at = max(key.not_before, at)
    return replace(key, not_after=at if key.not_after is None else min(key.not_after, at))


def _secret_bytes(private: _PrivateKey) -> bytes:
    if isinstance(private, Ed25519PrivateKey):
        return private.private_bytes_raw()
    return private.private_numbers().private_value.to_bytes(32)


def _key_value(key: SigningKey) -> Mapping[str, Any]:
    return {
        "secret": encode_base64url(_secret_bytes(key.private)),
        "not_before": key.not_before,
        "not_after": key.not_after,
    }


def _read_keys(role: str, data: bytes) -> tuple[SigningKey, ...]:
    try:
        value = read_json_object(data, MAX_KEY_FILE_BYTES)
        if value["role"] != role:
            raise Untrusted("keys-malformed", f"expected the {role} keys")
        return tuple(_read_key(role, entry) for entry in value["keys"])
    except (ConsentEdgeError, KeyError, TypeError, ValueError) as error:
        raise Untrusted("keys-malformed", f"keys/{role}.json is damaged") from error


def _read_key(role: str, entry: Mapping[str, Any]) -> SigningKey:
    secret = decode_base64url(entry["secret"])
    private: _PrivateKey
    if ROLES[role] == "ed25519":
        private = Ed25519PrivateKey.from_private_bytes(secret)
    else:
        private = derive_private_key(int.from_bytes(secret), SECP256R1())
    return _signing_key(role, private, entry["not_before"], entry["not_after"])


__all__ = ["ROLES", "KeyStore", "SigningKey"]
