"""Who answers for a policy: a signed statement over the clause approved and the digest of what was published.

    {clause_id, clause_sha256, approver, subject_digest, at}

The subject is every file of the bundle but the signatures and the approval itself.
"""

from dataclasses import asdict, dataclass
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.dsse import Signer
from consent_core.policy.signature import Trust, claimed_time, open_compact, sign_compact

APPROVAL = "approval.jws"
TYP = "policy-approval+jwt"
FIELDS = frozenset({"clause_id", "clause_sha256", "approver", "subject_digest", "at"})


@dataclass(frozen=True, slots=True)
class Approval:
    """`approver` (an operator's SPIFFE id or name) accepted the clause for the subject at Unix time `at`."""

    clause_id: str
    clause_sha256: str
    approver: str
    subject_digest: str
    at: int


def sign_approval(approval: Approval, signer: Signer) -> bytes:
    """The content of `approval.jws`."""
    return sign_compact(TYP, asdict(approval), signer).encode("ascii")


def open_approval(data: bytes, trust: Trust, revoked: frozenset[str]) -> Approval:
    """The approval, if a bundle key that is not `revoked` signed it and was valid when the approval says so.

    The bundle around it is judged by the clock; an approval alone puts nothing in force.
    Raises: Untrusted("bundle-approval" and those of `open_compact`).
    """
    try:
        text = data.decode("ascii")
        payload = open_compact(text, TYP, trust, claimed_time(text, "at"), revoked)
    except UnicodeDecodeError as error:
        raise Untrusted("bundle-approval", "not a compact JWS") from error
    if payload.keys() != FIELDS or not _typed(payload):
        raise Untrusted("bundle-approval", f"expected exactly {', '.join(sorted(FIELDS))}")
    return Approval(**payload)


def _typed(payload: dict[str, Any]) -> bool:
    at = payload["at"]
    texts = [payload[name] for name in FIELDS - {"at"}]
    return type(at) is int and at >= 0 and all(isinstance(text, str) and text for text in texts)
