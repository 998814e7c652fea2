"""The closing statement: the last word about a request, made when its proofs are gone.

    text = sign_closing(Closing(request, pack_digest, (), proofs_gone_at, left, iat, seen), signer)
    closing = open_closing(text, trust, NO_LOG)

Wire format: `docs/formats/closing-statement.md`. A JWS by role `attestation`. It names one pack by digest, so a second
pack of the same request does not pass for it.
"""

from dataclasses import dataclass

from consent_core.errors import Untrusted
from consent_core.formats.attestation import DIGEST
from consent_core.formats.dsse import Signer, Verifier
from consent_core.formats.fields import Fields
from consent_core.formats.jws import read_jws, sign_jws
from consent_core.formats.seen import Seen, read_seen

TYP = "consent-edge-closing+jwt"
ROLE = "attestation"
MAX_CLOSING_BYTES = 16_384

_MEMBERS = ("request", "pack", "open", "proofs_gone_at", "left", "iat", "seen")


@dataclass(frozen=True, slots=True)
class Closing:
    """`pack`: digest of the evidence file. `open`: steps not done. `left`: what stays, in words."""

    request: str
    pack: str
    open: tuple[str, ...]
    proofs_gone_at: int
    left: tuple[str, ...]
    iat: int
    seen: Seen


def sign_closing(closing: Closing, signer: Signer) -> str:
    """The JWS; `open_closing` gives the same value back."""
    value = {
        **{name: getattr(closing, name) for name in ("request", "pack", "proofs_gone_at", "iat")},
        "open": list(closing.open),
        "left": list(closing.left),
        "seen": closing.seen.text,
    }
    return sign_jws(TYP, value, signer)


def open_closing(text: str, trust: Verifier, revoked: frozenset[str]) -> Closing:
    """Verify and read; its key must have been valid when the statement says that it was made.

    `revoked`: the keys that the verifier knows to be revoked. Raises: Untrusted("closing-malformed" | "trust-…")."""
    jws = read_jws(text.strip(), TYP, MAX_CLOSING_BYTES, _malformed)
    fields = Fields(jws.payload, _malformed, _MEMBERS)
    trust.verify(ROLE, jws.kid, jws.message, jws.signature, fields.number("iat"), revoked)
    return Closing(
        request=fields.text("request", 64),
        pack=fields.matching("pack", DIGEST),
        open=_texts(fields, "open"),
        proofs_gone_at=fields.number("proofs_gone_at"),
        left=_texts(fields, "left"),
        iat=fields.number("iat"),
        seen=read_seen(fields.text("seen"), _malformed),
    )


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    items = fields.items(name, 64)
    if not all(isinstance(item, str) and 0 < len(item) <= 512 for item in items):
        raise _malformed(f"{name}: expected texts")
    return tuple(items)


def _malformed(message: str) -> Untrusted:
    return Untrusted("closing-malformed", message)
