"""An attestation: what one place says of itself, numbered without gaps and chained, signed by its own key.

    text = sign_attestation(attestation, attester_key)
    attestation = open_attestation(text, verify)        # verify(kid, message, signature) knows the endorsed keys
    following = replace(attestation, n=attestation.n + 1, prev=sha256_digest(text.encode()))

Wire format: `docs/formats/attestation.md`. Whether the key is that place's, and whether numbers follow each other, is
judged by who holds the neighbours. Source: RFC 9711 (EAT), as a JWS in one spelling (`formats/jws.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.dsse import Signer
from consent_core.formats.fields import MAX_NUMBER, Fields
from consent_core.formats.jws import Verify, read_jws, sign_jws
from consent_core.formats.seen import Seen, read_seen

TYP = "eat+jwt"
PROFILE = "tag:ui-tools,2026:consent-edge/attestation/v1"
KINDS = ("interval", "activation", "start", "stop")
MAX_ATTESTATION_BYTES = 16_384
MAX_APPLIED = 256  # pairs; a place with so many attests at once
FIRST = "sha256:" + "0" * 64  # `prev` of the first attestation of a place

KID = re.compile(r"attester-[0-9a-f]{16}")
ISSUER = re.compile(r"spiffe://[a-z0-9.-]{1,255}/(?:edge|control-plane|device)/[A-Za-z0-9._-]{1,128}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HEAD = re.compile(r"[0-9]{1,20}:[0-9a-f]{64}")
WRITER = re.compile(r"[A-Za-z0-9_-]{1,128}(?:\.w[0-9]{1,3})?")

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ORIGIN = re.compile(r"(?:[A-Za-z0-9_-]{22})?")
_CLAIMS = ("eat_profile", "iss", "iat", "kind", "life", "n", "prev", "since", "until", "components", "releases")
_LATER_CLAIMS = ("policy", "log", "seen", "audit")


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy a place decides by, and since when (Unix seconds)."""

    hash: str
    revision: int
    since: int


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far a place has applied the revocation log.

    applied: (through, at): every entry up to `through` was in force at Unix time `at`. in_sync: (from, to) in Unix
    seconds, when the place held a fresh answer. origin: "" before the first answer.
    """

    origin: str
    position: int
    applied: tuple[tuple[int, int], ...] = ()
    in_sync: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Attestation:
    """One numbered attestation about the time from `since` to `until`.

    life: rises when the place's store was lost or restored. prev: digest of the attestation before, also across lives.
    audit: head of each of its trails. next: the key that signs from the next one on, where it changes.
    """

    iss: str
    iat: int
    kind: str
    life: int
    n: int
    prev: str
    since: int
    until: int
    components: Mapping[str, str]
    releases: Mapping[str, str]
    policy: PolicyInForce | None
    log: LogPosition
    seen: Seen
    audit: Mapping[str, str]
    next: str | None = None

    @property
    def place(self) -> str:
        """`edge/tokyo-1`: the issuer as leaves and lists name it."""
        return place_of(self.iss)


def place_of(spiffe_id: str) -> str:
    """Role and name of a SPIFFE id: what leaves and lists say instead of it."""
    return "/".join(spiffe_id.split("/")[3:])


def sign_attestation(attestation: Attestation, signer: Signer) -> str:
    """The JWS; `open_attestation` gives the same value back."""
    return sign_jws(TYP, _value(attestation), signer)


def open_attestation(text: str, verify: Verify) -> Attestation:
    """Verify and read. Raises: Untrusted("attestation-malformed") and what `verify` raises."""
    jws = read_jws(text, TYP, MAX_ATTESTATION_BYTES, malformed)
    verify(jws.kid, jws.message, jws.signature)
    fields = Fields(jws.payload, malformed, (*_CLAIMS, *_LATER_CLAIMS), ("next",))
    fields.one_of("eat_profile", (PROFILE,))
    return _require_order(_read(fields))


def _read(fields: Fields) -> Attestation:
    return Attestation(
        iss=fields.matching("iss", ISSUER),
        iat=fields.number("iat"),
        kind=fields.one_of("kind", KINDS),
        life=fields.number("life"),
        n=fields.number("n"),
        prev=fields.matching("prev", DIGEST),
        since=fields.number("since"),
        until=fields.number("until"),
        components=texts(fields.mapping("components"), _NAME, DIGEST),
        releases=texts(fields.mapping("releases"), _NAME, _NAME),
        policy=None if fields.absent("policy") else _policy(fields.mapping("policy")),
        log=_log(fields.mapping("log")),
        seen=read_seen(fields.text("seen"), malformed),
        audit=texts(fields.mapping("audit"), WRITER, HEAD),
        next=None if fields.absent("next") else fields.matching("next", KID),
    )


def _require_order(attestation: Attestation) -> Attestation:
    if attestation.life < 1 or attestation.n < 1 or attestation.since > attestation.until:
        raise malformed("life and n begin at 1, and an interval ends after it begins")
    return attestation


def _policy(value: object) -> PolicyInForce:
    fields = Fields(value, malformed, ("hash", "revision", "since"))
    return PolicyInForce(fields.matching("hash", DIGEST), fields.number("revision"), fields.number("since"))


def _log(value: object) -> LogPosition:
    fields = Fields(value, malformed, ("origin", "position", "applied", "in_sync"))
    position, applied = fields.number("position"), _pairs(fields, "applied")
    if any(one > other for (one, _), (other, _) in pairwise(applied)) or (applied and applied[-1][0] > position):
        raise malformed("applied: numbers rise up to the position")
    return LogPosition(fields.matching("origin", _ORIGIN), position, applied, _pairs(fields, "in_sync"))


def _pairs(fields: Fields, name: str) -> tuple[tuple[int, int], ...]:
    items = fields.items(name, MAX_APPLIED)
    if not all(isinstance(item, list) and len(item) == 2 and all(map(_whole, item)) for item in items):
        raise malformed(f"{name}: expected pairs of whole numbers")
    return tuple((one, other) for one, other in items)


def _whole(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_NUMBER


def texts(value: Mapping[str, Any], names: re.Pattern[str], values: re.Pattern[str]) -> dict[str, str]:
    """A mapping of at most 256 texts. Raises: Untrusted("attestation-malformed")."""
    for name, item in value.items():
        if not names.fullmatch(name) or not isinstance(item, str) or not values.fullmatch(item):
            raise malformed("a name or its value is not of the agreed form")
    if len(value) > 256:
        raise malformed("expected at most 256 members")
    return dict(value)


def _value(attestation: Attestation) -> dict[str, Any]:
    policy, log = attestation.policy, attestation.log
    value: dict[str, Any] = {
        "eat_profile": PROFILE,
        **{name: getattr(attestation, name) for name in _CLAIMS[1:9]},
        "components": dict(attestation.components),
        "releases": dict(attestation.releases),
        "policy": policy and {"hash": policy.hash, "revision": policy.revision, "since": policy.since},
        "log": {
            "origin": log.origin,
            "position": log.position,
            "applied": [list(pair) for pair in log.applied],
            "in_sync": [list(pair) for pair in log.in_sync],
        },
        "seen": attestation.seen.text,
        "audit": dict(attestation.audit),
    }
    return value if attestation.next is None else {**value, "next": attestation.next}


def malformed(message: str) -> Untrusted:
    """The refusal of an attestation or a statement that is not of its form."""
    return Untrusted("attestation-malformed", message)
