"""A device lease: what one device may do for one person, and until when. Signed by role `log`.

    text = sign_lease(lease, keys.current("log"))
    lease = open_lease(text, verify)                    # verify(kid, message, signature) judges the key

Wire format: `docs/formats/device-lease.md`. The 32-byte share travels beside the lease and is no part of it: a lease
may lie on a disk, a share may not.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.attestation import DIGEST
from consent_core.formats.dsse import Signer
from consent_core.formats.fields import Fields
from consent_core.formats.jws import Verify, read_jws, sign_jws

TYP = "device-lease+jwt"
MAX_LEASE_BYTES = 8_192
LONGEST_S = 86_400  # from `at` to `decide_until`
POLL_S = range(1, 3_601)
MAX_RELEASES = 64
SHARE_BYTES = 32

DEVICE = re.compile(r"[A-Za-z0-9._-]{1,128}")
NONCE = re.compile(r"[A-Za-z0-9_-]{22}")  # 16 random bytes
_PERSON = re.compile(r"[0-9a-f]{64}")
_RELEASE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_MEMBERS = (
    *("device", "subject", "ver", "categories", "erased", "releases", "policy_hash"),
    *("at", "nonce", "poll_s", "decide_until", "delete_at"),
)


@dataclass(frozen=True, slots=True)
class Lease:
    """What `device` may do for `subject` (the log's name of a person). Times are Unix seconds.

    erased: the person is erased; then no category is left. releases: digest of each model that may lie there.
    decide_until: no decision from then on. delete_at: by then models and history are gone; never later.
    """

    device: str
    subject: str
    ver: int
    categories: tuple[str, ...]
    erased: bool
    releases: Mapping[str, str]
    policy_hash: str
    at: int
    nonce: str
    poll_s: int
    decide_until: int
    delete_at: int

    @property
    def ends(self) -> bool:
        """Whether it tells the device to delete: nothing is allowed any more."""
        return self.erased or not self.categories


def sign_lease(lease: Lease, signer: Signer) -> str:
    """The JWS; `open_lease` gives the same value back."""
    return sign_jws(TYP, {**asdict(lease), "categories": list(lease.categories)}, signer)


def open_lease(text: str, verify: Verify) -> Lease:
    """Verify and read. Raises: Untrusted("lease-malformed") and what `verify` raises."""
    jws = read_jws(text, TYP, MAX_LEASE_BYTES, _malformed)
    verify(jws.kid, jws.message, jws.signature)
    return _require_ends(_read(Fields(jws.payload, _malformed, _MEMBERS)))


def _read(fields: Fields) -> Lease:
    return Lease(
        device=fields.matching("device", DEVICE),
        subject=fields.matching("subject", _PERSON),
        ver=fields.number("ver"),
        categories=fields.categories("categories"),
        erased=fields.flag("erased"),
        releases=_releases(fields.mapping("releases")),
        policy_hash=fields.matching("policy_hash", DIGEST),
        at=fields.number("at"),
        nonce=fields.matching("nonce", NONCE),
        poll_s=fields.number("poll_s"),
        decide_until=fields.number("decide_until"),
        delete_at=fields.number("delete_at"),
    )


def _require_ends(lease: Lease) -> Lease:
    if not lease.at <= lease.delete_at <= lease.decide_until <= lease.at + LONGEST_S:
        raise _malformed(f"expected at, delete_at, decide_until in this order, within {LONGEST_S} s")
    if lease.poll_s not in POLL_S:
        raise _malformed(f"poll_s: expected {POLL_S.start} to {POLL_S.stop - 1}")
    if lease.erased and lease.categories:
        raise _malformed("nothing is allowed for a person who is erased")
    return lease


def _releases(value: Mapping[str, Any]) -> dict[str, str]:
    good = (
        _RELEASE.fullmatch(name) and isinstance(digest, str) and DIGEST.fullmatch(digest)
        for name, digest in value.items()
    )
    if len(value) > MAX_RELEASES or not all(good):
        raise _malformed(f"releases: expected at most {MAX_RELEASES} digests by name")
    return dict(value)


def _malformed(message: str) -> Untrusted:
    return Untrusted("lease-malformed", message)
