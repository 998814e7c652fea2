"""The trust file: the one public file a verifier needs. Wire format: `docs/formats/trust-file.md`.

    trust = TrustFile.load(Path(".edge/trust.json"))
    trust.verify("component", kid, message, signature, now, revoked)

It names the public keys of each role with their validity, what components may import, the lowest model epochs,
and the ledger with its witnesses. Which file to believe is the operator's decision: it arrives out of band.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.token import Key, decode_base64url, encode_base64url
from consent_core.trust.signatures import KEY_BYTES, verify_signature

# role -> the one algorithm its keys are for
ROLES = {
    "token": "ed25519",
    "component": "ed25519",
    "bundle": "es256",
    "log": "ed25519",
    "release": "ed25519",
    "ledger": "ed25519",
    "attestation": "ed25519",
}
NO_LOG: frozenset[str] = frozenset()  # `revoked` of who reads no log: what the trust file itself says still counts
TRUST_DOMAIN = "ui-tools"
VERSION = 2
OLDEST_VERSION = 1  # named no revoked keys, and no algorithm of a witness
WITNESS_ALGORITHM = "ed25519"
MAX_BYTES = 1_048_576

# What a component of each world may import, by WIT package. Worlds that are not named may import nothing.
ALLOWED_IMPORTS: Mapping[str, tuple[str, ...]] = {
    "consent-validation-finished": (),
    "edge-personalization": (),
    "local-training": (),
    # CPython's C library names files and sockets even where nothing uses them: the hosts deny both.
    "edge-http": (
        *("wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:keyvalue", "wasi:random"),
        "wasi:sockets",
    ),
}
_FIELDS = frozenset(
    {"version", "trust_domain", "issuer", "keys", "revoked", "allowed_imports", "minimum_epochs", "ledger"}
)
_KEY_FIELDS = frozenset({"kid", "algorithm", "key", "not_before", "not_after"})


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key of one role, valid from `not_before` until before `not_after` (Unix seconds; None: no end)."""

    role: str
    kid: str
    algorithm: str
    key: bytes
    not_before: int
    not_after: int | None

    def valid_at(self, now: int) -> bool:
        """Whether signatures of this key count at that time. A lookup, not a security check: see `verify`."""
        return self.not_before <= now and (self.not_after is None or now < self.not_after)


@dataclass(frozen=True, slots=True)
class Witness:
    """A party that cosigns ledger checkpoints: its name and ed25519 public key (32 bytes)."""

    name: str
    key: bytes


@dataclass(frozen=True, slots=True)
class TrustFile:
    """Public keys by role and what else a verifier must know. `witness_quorum` of `witnesses` must cosign.

    `revoked`: key id -> Unix second from which on nothing signed by it counts.
    """

    trusted_keys: tuple[TrustedKey, ...]
    trust_domain: str = TRUST_DOMAIN
    issuer: str = f"{TRUST_DOMAIN}/consent-edge"
    allowed_imports: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: ALLOWED_IMPORTS)
    minimum_epochs: Mapping[str, int] = field(default_factory=dict)
    ledger_origin: str = f"{TRUST_DOMAIN}/consent-edge"
    witnesses: tuple[Witness, ...] = ()
    witness_quorum: int = 0
    revoked: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "TrustFile":
        """Read a trust file. Raises: Unavailable("trust-file-missing"), Untrusted("trust-file")."""
        try:
            return cls.from_bytes(path.read_bytes())
        except OSError as error:
            remedy = "--data names the folder that `edge build` or `edge enrol` made"
            message = f"cannot read {path}: {error.strerror}; {remedy}"
            raise Unavailable("trust-file-missing", message) from error

    @classmethod
    def from_bytes(cls, data: bytes) -> "TrustFile":
        """Parse a trust file. Raises: Untrusted("trust-file" | "json-malformed")."""
        return _read(read_json_object(data, MAX_BYTES))

    def to_bytes(self) -> bytes:
        """Canonical JSON; `from_bytes(t.to_bytes()) == t`."""
        return canonical_json(
            {
                "version": VERSION,
                "trust_domain": self.trust_domain,
                "issuer": self.issuer,
                "keys": {role: [_key_value(key) for key in self._of(role)] for role in ROLES},
                "revoked": [{"kid": kid, "at": at} for kid, at in sorted(self.revoked.items())],
                "allowed_imports": {world: list(packages) for world, packages in self.allowed_imports.items()},
                "minimum_epochs": dict(self.minimum_epochs),
                "ledger": {
                    "origin": self.ledger_origin,
                    "quorum": self.witness_quorum,
                    "witnesses": [_witness_value(witness) for witness in self.witnesses],
                },
            }
        )

    def keys(self, role: str, now: int | None = None) -> tuple[Key, ...]:
        """The public keys of a role, newest last; with `now` only those valid at that time."""
        return tuple(Key(key.kid, key.algorithm, key.key) for key in self._of(role) if now is None or key.valid_at(now))

    def verify(self, role: str, kid: str, message: bytes, signature: bytes, now: int, revoked: frozenset[str]) -> None:
        """Return if the key `kid` of `role` signed `message`, is valid at `now` and was not revoked.

        `revoked`: what the caller knows the log to have taken away, beside what this file says of `now`; there is no
        way to leave it unsaid.
        Raises: Untrusted("trust-key-unknown" | "trust-key-revoked" | "trust-key-expired" | "trust-signature").
        """
        key = next((key for key in self._of(role) if key.kid == kid), None)
        if key is None:
            raise Untrusted("trust-key-unknown", f"no {role} key of that id in the trust file")
        if kid in revoked or self.revoked.get(kid, now + 1) <= now:
            raise Untrusted("trust-key-revoked", f"the {role} key was revoked")
        if not key.valid_at(now):
            raise Untrusted("trust-key-expired", f"the {role} key was not valid at that time")
        try:
            verify_signature(key.algorithm, key.key, message, signature)
        except Rejected as error:
            raise Untrusted("trust-signature", f"not signed by the {role} key it names") from error

    def with_keys(self, keys: tuple[TrustedKey, ...]) -> "TrustFile":
        """The same trust in other keys."""
        return replace(self, trusted_keys=keys)

    def _of(self, role: str) -> list[TrustedKey]:
        return [key for key in self.trusted_keys if key.role == role]


def _key_value(key: TrustedKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "key": encode_base64url(key.key),
        "not_before": key.not_before,
        "not_after": key.not_after,
    }


def _witness_value(witness: Witness) -> dict[str, str]:
    return {"name": witness.name, "algorithm": WITNESS_ALGORITHM, "key": encode_base64url(witness.key)}


def _read(value: dict[str, Any]) -> TrustFile:
    if value.get("version") == OLDEST_VERSION:
        value = _upgraded(value)
    _require(value.keys() == _FIELDS, f"expected exactly {', '.join(sorted(_FIELDS))}")
    _require(value["version"] == VERSION, f"expected version {VERSION}")
    ledger = _ledger(value["ledger"])
    witnesses = tuple(_witness(entry) for entry in _list(ledger["witnesses"], "witnesses"))
    quorum = _number(ledger["quorum"], "quorum")
    _require(quorum <= len(witnesses), "the quorum asks for more witnesses than are named")
    _require(len({w.name for w in witnesses}) == len(witnesses), "two witnesses have one name")
    _require(len({w.key for w in witnesses}) == len(witnesses), "two witnesses have one key")
    return TrustFile(
        trusted_keys=_keys(value["keys"]),
        trust_domain=_text(value["trust_domain"], "trust_domain"),
        issuer=_text(value["issuer"], "issuer"),
        allowed_imports={
            world: tuple(_text(package, "import") for package in _list(packages, "allowed_imports"))
            for world, packages in _object(value["allowed_imports"], "allowed_imports").items()
        },
        minimum_epochs={
            model: _number(epoch, "epoch")
            for model, epoch in _object(value["minimum_epochs"], "minimum_epochs").items()
        },
        ledger_origin=_text(ledger["origin"], "origin"),
        witnesses=witnesses,
        witness_quorum=quorum,
        revoked=_revoked(value["revoked"]),
    )


def _upgraded(value: dict[str, Any]) -> dict[str, Any]:
    """What version 2 makes of version 1: no key is revoked, and every witness signs Ed25519."""
    _require(value.keys() == _FIELDS - {"revoked"}, "a member that version 1 has not")
    ledger = _ledger(value["ledger"])
    witnesses = [
        {**_object(entry, "witness"), "algorithm": WITNESS_ALGORITHM}
        for entry in _list(ledger["witnesses"], "witnesses")
    ]
    return {**value, "version": VERSION, "revoked": [], "ledger": {**ledger, "witnesses": witnesses}}


def _ledger(value: Any) -> dict[str, Any]:
    _require(isinstance(value, dict) and value.keys() == {"origin", "quorum", "witnesses"}, "ledger")
    return dict(value)


def _revoked(value: Any) -> dict[str, int]:
    revoked: dict[str, int] = {}
    for entry in _list(value, "revoked"):
        _require(isinstance(entry, dict) and entry.keys() == {"kid", "at"}, "a revoked key is a kid and a time")
        kid = _text(entry["kid"], "kid")
        _require(kid not in revoked, "a key is revoked twice")
        revoked[kid] = _number(entry["at"], "at")
    return revoked


def _keys(value: Any) -> tuple[TrustedKey, ...]:
    by_role = _object(value, "keys")
    _require(by_role.keys() <= ROLES.keys(), f"roles are {', '.join(ROLES)}")
    keys = tuple(_key(role, entry) for role in ROLES for entry in _list(by_role.get(role, []), role))
    _require(len({(key.role, key.kid) for key in keys}) == len(keys), "a kid is named twice")
    _require(len({key.key for key in keys}) == len(keys), "one key may not serve two roles")
    return keys


def _key(role: str, entry: Any) -> TrustedKey:
    _require(isinstance(entry, dict) and entry.keys() == _KEY_FIELDS, f"{role}: a key's fields")
    _require(entry["algorithm"] == ROLES[role], f"{role}: keys are for {ROLES[role]}")
    key = _bytes(entry["key"], KEY_BYTES[ROLES[role]])
    not_before = _number(entry["not_before"], "not_before")
    not_after = None if entry["not_after"] is None else _number(entry["not_after"], "not_after")
    _require(not_after is None or not_before <= not_after, f"{role}: a key ends before it begins")
    return TrustedKey(role, _text(entry["kid"], "kid"), entry["algorithm"], key, not_before, not_after)


def _witness(entry: Any) -> Witness:
    members = {"name", "algorithm", "key"}
    _require(isinstance(entry, dict) and entry.keys() == members, "a witness is a name, an algorithm and a key")
    _require(entry["algorithm"] == WITNESS_ALGORITHM, f"witnesses sign {WITNESS_ALGORITHM}")
    return Witness(_text(entry["name"], "witness"), _bytes(entry["key"], 32))


def _bytes(value: Any, length: int) -> bytes:
    try:
        data = decode_base64url(_text(value, "key"))
    except Rejected as error:
        raise Untrusted("trust-file", "a key is not base64url") from error
    _require(len(data) == length, f"expected a key of {length} bytes")
    return data


def _object(value: Any, name: str) -> dict[str, Any]:
    _require(isinstance(value, dict), f"{name}: expected an object")
    return dict(value)


def _list(value: Any, name: str) -> list[Any]:
    _require(isinstance(value, list), f"{name}: expected a list")
    return list(value)


def _text(value: Any, name: str) -> str:
    _require(isinstance(value, str) and 0 < len(value) <= 256, f"{name}: expected 1 to 256 characters")
    return str(value)


def _number(value: Any, name: str) -> int:
    _require(type(value) is int and 0 <= value < 2**53, f"{name}: expected a whole number")
    return int(value)


def _require(condition: bool, expected: str) -> None:
    if not condition:
        raise Untrusted("trust-file", expected)
