"""What an attester and the control plane say to each other: whose key this is, and what was attested.

    POST /v1/attesters     {kid, key, proof}                      → {endorsement, known: {life, n, hash}}
    POST /v1/attestations  one {"attestation" | "statement": jws} a line, at most 256
                                                                  → {accepted, known: {life, n, hash}, code}

Wire format: `docs/formats/attester.md`. `known` is the newest attestation of that place that the control plane has:
a place that is behind it has an older store than it once had.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.attestation import DIGEST, FIRST, KID, MAX_ATTESTATION_BYTES, place_of
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.consent import bad_request
from consent_core.formats.endorsement import KEY_BYTES, attester_kid
from consent_core.formats.fields import Fields
from consent_core.formats.token import decode_base64url, encode_base64url

KINDS = ("attestation", "statement")
MAX_LINES = 256
MAX_BODY_BYTES = MAX_LINES * (MAX_ATTESTATION_BYTES + 64)
MAX_ANSWER_BYTES = 16_384

_CODE = re.compile(r"[a-z0-9-]{0,64}")
_PROOF = b"consent-edge/attester/v1\0"


@dataclass(frozen=True, slots=True)
class Known:
    """The newest attestation of a place: life, number, digest of its text. (0, 0, FIRST): none."""

    life: int = 0
    n: int = 0
    hash: str = FIRST


@dataclass(frozen=True, slots=True)
class AttesterRequest:
    """A workload shows its attester key (32 bytes, Ed25519) and that it holds the other half."""

    key: bytes
    proof: bytes

    @property
    def kid(self) -> str:
        """The key's name."""
        return attester_kid(self.key)


@dataclass(frozen=True, slots=True)
class AttesterAnswer:
    """The endorsement (a DSSE envelope) and what is known of the place."""

    endorsement: Mapping[str, Any]
    known: Known


@dataclass(frozen=True, slots=True)
class IntakeAnswer:
    """How many lines were taken, from the first on; why the next one was not ("" if all were)."""

    accepted: int
    known: Known
    code: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One attestation or statement on its way: its kind and its JWS."""

    kind: str
    text: str


def proof_message(spiffe_id: str) -> bytes:
    """What an attester signs to show that it holds its key."""
    return _PROOF + spiffe_id.encode()


def write_request(request: AttesterRequest) -> bytes:
    """The body of `POST /v1/attesters`."""
    parts = {"key": encode_base64url(request.key), "proof": encode_base64url(request.proof)}
    return canonical_json({"kid": request.kid, **parts})


def read_request(data: bytes) -> AttesterRequest:
    """Raises: Rejected("bad-request")."""
    fields = Fields(_parsed(data), bad_request, ("kid", "key", "proof"))
    request = AttesterRequest(_bytes(fields.text("key", 64)), _bytes(fields.text("proof", 128)))
    if len(request.key) != KEY_BYTES or fields.matching("kid", KID) != request.kid:
        raise bad_request("the key is not the one that kid names")
    return request


def write_answer(answer: AttesterAnswer) -> bytes:
    """The answer to `POST /v1/attesters`."""
    return canonical_json({"endorsement": dict(answer.endorsement), "known": _known_value(answer.known)})


def read_answer(data: bytes) -> AttesterAnswer:
    """Raises: Untrusted("attester-answer")."""
    fields = Fields(_answered(data), _refused, ("endorsement", "known"))
    return AttesterAnswer(fields.mapping("endorsement"), _known(fields.mapping("known")))


def write_lines(lines: Sequence[Line]) -> bytes:
    """The body of `POST /v1/attestations`."""
    return b"".join(json.dumps({line.kind: line.text}).encode("ascii") + b"\n" for line in lines)


def read_lines(data: bytes) -> tuple[Line, ...]:
    """Raises: Rejected("bad-request")."""
    rows = data.splitlines()
    if not 1 <= len(rows) <= MAX_LINES:
        raise bad_request(f"expected 1 to {MAX_LINES} lines")
    return tuple(_line(row) for row in rows)


def write_intake(answer: IntakeAnswer) -> bytes:
    """The answer to `POST /v1/attestations`."""
    return canonical_json({"accepted": answer.accepted, "known": _known_value(answer.known), "code": answer.code})


def read_intake(data: bytes) -> IntakeAnswer:
    """Raises: Untrusted("attester-answer")."""
    fields = Fields(_answered(data), _refused, ("accepted", "known", "code"))
    code = fields.matching("code", _CODE)
    return IntakeAnswer(fields.number("accepted"), _known(fields.mapping("known")), code)


def issuer_of(data: bytes) -> str:
    """The place (`edge/tokyo-1`) that every line of a body says it is by. Nothing of it is verified.

    Raises: Rejected("bad-request"), also where the lines name several.
    """
    issuers = {_issuer(line.text) for line in read_lines(data)}
    if len(issuers) != 1:
        raise bad_request("the lines are by more than one place")
    return issuers.pop()


def _issuer(text: str) -> str:
    try:
        issuer = _parsed(_bytes(text.split(".")[1]))["iss"]
    except (IndexError, KeyError) as error:
        raise bad_request("a line is no JWS that names its issuer") from error
    if not isinstance(issuer, str):
        raise bad_request("a line names no issuer")
    return place_of(issuer)


def _line(row: bytes) -> Line:
    value = _parsed(row)
    if len(value) != 1:
        raise bad_request("a line is one attestation or one statement")
    ((kind, text),) = value.items()
    if kind not in KINDS or not isinstance(text, str):
        raise bad_request("a line is one attestation or one statement")
    return Line(kind, text)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        return read_json_object(data, MAX_ATTESTATION_BYTES + 64)
    except Untrusted as error:
        raise bad_request(error.message) from error


def _answered(data: bytes) -> dict[str, Any]:
    try:
        return read_json_object(data, MAX_ANSWER_BYTES)
    except Untrusted as error:
        raise _refused(error.message) from error


def _known(value: object) -> Known:
    fields = Fields(value, _refused, ("life", "n", "hash"))
    return Known(fields.number("life"), fields.number("n"), fields.matching("hash", DIGEST))


def _known_value(known: Known) -> dict[str, Any]:
    return {"life": known.life, "n": known.n, "hash": known.hash}


def _bytes(text: str) -> bytes:
    try:
        return decode_base64url(text)
    except Rejected as error:
        raise bad_request("expected base64url") from error


def _refused(message: str) -> Untrusted:
    return Untrusted("attester-answer", message)
