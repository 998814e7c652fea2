"""A federated update: one place's noised sum of one week, signed by the key of its SVID. A safetensors file.

    body = write_update(update, y, signer)             # one tensor `y`, I64; the envelope is in the file's metadata
    received = read_update(body)                       # form, digest and numbers; not yet believed
    received.require_signed(verifier, now, revoked)    # now it is

Wire format: `docs/formats/update.md`. It carries no count, loss, norm or time: a member more is refused. Whether the
week, the base, the promise and the budget are right is judged by the control plane (`control_plane/federated`).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.base64_text import read_base64
from consent_core.formats.budget_ledger import DIGEST, MAX_LINES, WEEK, BudgetLine, read_lines
from consent_core.formats.canonical import canonical_json, read_json_object, sha256_digest
from consent_core.formats.dsse import Signer, Verifier, open_statement, sign_statement
from consent_core.formats.fields import Fields

UPDATE_TYPE = "application/vnd.consent-edge.update+json"
ROLE = "svid"  # whose key signs: the workload's own
MAX_UPDATE_BYTES = 8_388_608
MAX_HEADER_BYTES = 131_072
MAX_ENTRY = 2**40  # far above any honest sum with its noise, and its square fits a float
MAX_LENGTH = 2**17

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RELEASE = re.compile(r"model-v[0-9]{8}\.[0-9]{1,4}|seed")
_SPIFFE = re.compile(r"spiffe://[a-z0-9.-]{1,255}/edge/[A-Za-z0-9._-]{1,128}")
_MEMBERS = (
    "version",
    "models",
    "pop",
    "region",
    "week",
    "base",
    "shape",
    "sha256",
    "mechanism",
    "guarantee",
    "policy",
    "ledger",
    "spiffe_id",
)


@dataclass(frozen=True, slots=True)
class Update:
    """What the signed manifest says.

    base: the release of each model that the week was trained at. mechanism, guarantee: as the policy states them.
    ledger: the place's last budget lines, this week's at the end.
    """

    models: tuple[str, ...]
    pop: str
    week: str
    base: Mapping[str, str]
    mechanism: Mapping[str, Any]
    guarantee: Mapping[str, Any]
    policy: str
    ledger: tuple[BudgetLine, ...]
    spiffe_id: str


@dataclass(frozen=True, slots=True)
class Received:
    """An update as it came. digest: of the manifest, which names the tensor's: what the archive knows it by."""

    update: Update
    y: NDArray[np.int64]
    envelope: bytes
    digest: str

    def require_signed(self, verifier: Verifier, now: int, revoked: frozenset[str] = frozenset()) -> None:
        """Raises: Untrusted("update-signature") unless the verifier knows the key."""
        try:
            open_statement(self.envelope, UPDATE_TYPE, verifier, ROLE, now, revoked)
        except Untrusted as error:
            raise Untrusted("update-signature", "not signed by the caller's SVID", status=422) from error


def write_update(update: Update, y: NDArray[np.int64], signer: Signer) -> bytes:
    """The file's bytes."""
    tensor = y.astype("<i8").tobytes()
    envelope = sign_statement(UPDATE_TYPE, canonical_json(_manifest(update, len(y), sha256_digest(tensor))), signer)
    entry = {"dtype": "I64", "shape": [len(y)], "data_offsets": [0, len(tensor)]}
    header = json.dumps({"__metadata__": {"envelope": envelope.decode()}, "y": entry}).encode()
    header += b" " * (-len(header) % 8)  # the tensor begins at a multiple of eight bytes
    return len(header).to_bytes(8, "little") + header + tensor


def read_update(body: bytes) -> Received:
    """Read and compare, in this order: file, tensor, manifest, digest, numbers.

    Raises: Rejected("update-malformed" | "update-dtype" | "update-shape" | "update-member" | "update-digest" |
            "update-range" | "budget-malformed").
    """
    header, tensor = _parts(body)
    length = _length(header, tensor)
    envelope = _envelope(header)
    payload = _payload(envelope)
    update = _read(payload, length, sha256_digest(tensor))
    y = np.frombuffer(tensor, dtype="<i8").astype(np.int64)
    if len(y) and (int(y.max()) > MAX_ENTRY or int(y.min()) < -MAX_ENTRY):
        raise Rejected("update-range", "an entry is beyond 2^40")
    return Received(update, y, envelope, sha256_digest(payload))


def _parts(body: bytes) -> tuple[dict[str, Any], bytes]:
    if not 8 <= len(body) <= MAX_UPDATE_BYTES:
        raise _malformed(f"expected at most {MAX_UPDATE_BYTES} bytes")
    size = int.from_bytes(body[:8], "little")
    if size > MAX_HEADER_BYTES:
        raise _malformed("the header is too long, or this is no safetensors file")
    return _object(body[8 : 8 + size].rstrip(b" ")), body[8 + size :]


def _length(header: dict[str, Any], tensor: bytes) -> int:
    """How many entries `y` has, if it is the one tensor and fills the file to its end."""
    if header.keys() != {"__metadata__", "y"}:
        raise _malformed("expected one tensor, y, and metadata")
    entry = Fields(header["y"], _malformed, ("dtype", "shape", "data_offsets"))
    if entry.text("dtype") != "I64":
        raise Rejected("update-dtype", "y is I64")
    shape = entry.items("shape", 8)
    if len(shape) != 1 or type(shape[0]) is not int or not 0 < shape[0] <= MAX_LENGTH:
        raise Rejected("update-shape", "y is one row of numbers")
    if entry.items("data_offsets", 2) != [0, 8 * shape[0]] or len(tensor) != 8 * shape[0]:
        raise _malformed("y does not fill the file to its end")
    return shape[0]


def _envelope(header: dict[str, Any]) -> bytes:
    metadata = Fields(header["__metadata__"], _malformed, ("envelope",))
    return metadata.text("envelope", MAX_HEADER_BYTES).encode()


def _payload(envelope: bytes) -> bytes:
    """What the envelope holds, before anybody believes it."""
    return read_base64(
        Fields(_object(envelope), _malformed, ("payloadType", "payload", "signatures")).text(
            "payload", MAX_HEADER_BYTES
        ),
        _malformed,
    )


def _read(payload: bytes, length: int, digest: str) -> Update:
    value = _object(payload)
    _require_canonical(value, payload)
    fields = Fields(value, _member, _MEMBERS)
    _require_tensor(fields, length, digest)
    if fields.number("version") != 1 or fields.text("region") != fields.text("pop"):
        raise _member("version is 1, region is the place")
    models, base = _models(fields)
    return Update(
        models=models,
        pop=fields.matching("pop", _NAME),
        week=fields.matching("week", WEEK),
        base=base,
        mechanism=fields.mapping("mechanism"),
        guarantee=fields.mapping("guarantee"),
        policy=fields.matching("policy", DIGEST),
        ledger=read_lines(fields.items("ledger", MAX_LINES)),
        spiffe_id=fields.matching("spiffe_id", _SPIFFE),
    )


def _require_tensor(fields: Fields, length: int, digest: str) -> None:
    if fields.items("shape", 8) != [length]:
        raise Rejected("update-shape", "the manifest states another shape")
    if fields.matching("sha256", DIGEST) != digest:
        raise Rejected("update-digest", "the tensor is not the one that was signed")


def _models(fields: Fields) -> tuple[tuple[str, ...], dict[str, str]]:
    """The models in the order of their weights, and the release that each was trained at."""
    models, base = fields.items("models", 8), fields.mapping("base")
    if not models or not all(isinstance(model, str) and _NAME.fullmatch(model) for model in models):
        raise _member("models: expected names")
    if len(set(models)) != len(models) or base.keys() != set(models):
        raise _member("base: expected a release for each model, each once")
    releases = Fields(base, _member, base.keys())
    return tuple(models), {model: releases.matching(model, _RELEASE) for model in models}


def _require_canonical(value: dict[str, Any], payload: bytes) -> None:
    """One spelling, so that one manifest has one digest."""
    try:
        same = canonical_json(value) == payload
    except ValueError:
        same = False
    if not same:
        raise _malformed("the manifest is not canonical JSON")


def _manifest(update: Update, length: int, digest: str) -> dict[str, Any]:
    same = ("pop", "week", "policy", "spiffe_id")
    return {
        **{name: getattr(update, name) for name in same},
        **{name: dict(getattr(update, name)) for name in ("base", "mechanism", "guarantee")},
        "version": 1,
        "region": update.pop,
        "models": list(update.models),
        "shape": [length],
        "sha256": digest,
        "ledger": [line.to_json() for line in update.ledger],
    }


def _object(text: bytes) -> dict[str, Any]:
    try:
        return read_json_object(text, MAX_HEADER_BYTES)
    except Untrusted as error:
        raise _malformed("not a JSON object of distinct members") from error


def _malformed(message: str) -> Rejected:
    return Rejected("update-malformed", message)


def _member(message: str) -> Rejected:
    return Rejected("update-member", message)
