"""What a log sends a witness, and in which words the witness answers. Wire format: `docs/formats/add-checkpoint.md`.

    body = write_add_checkpoint(AddCheckpoint(old=70_000, proof=path, note=checkpoint))
    read_add_checkpoint(body).old == 70_000

Source: c2sp.org/tlog-witness, `add-checkpoint`.
"""

import re
from dataclasses import dataclass

from consent_core.errors import Untrusted
from consent_core.formats.base64_text import read_base64, write_base64
from consent_core.formats.note import MAX_NOTE_BYTES
from consent_core.formats.tlog import HASH_BYTES, MAX_SIZE

PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"  # of the 409 that says how far the witness has come
MAX_PROOF_LINES = 63
MAX_BODY_BYTES = MAX_NOTE_BYTES + 64 * 64

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A checkpoint (`note`, as signed) and the proof that the tree of `old` leaves is how its tree begins."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def write_add_checkpoint(request: AddCheckpoint) -> bytes:
    """The body of the request."""
    lines = [f"old {request.old}", *(write_base64(item) for item in request.proof)]
    return "\n".join(lines).encode() + b"\n\n" + request.note


def read_add_checkpoint(body: bytes) -> AddCheckpoint:
    """The request; the note is not looked into. Raises: Untrusted("add-checkpoint-malformed")."""
    head, separator, note = body.partition(b"\n\n")
    try:
        first, *hashes = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise _malformed("expected ASCII above the checkpoint") from error
    old = _OLD.fullmatch(first)
    if len(body) > MAX_BODY_BYTES or not separator or not old or len(hashes) > MAX_PROOF_LINES:
        raise _malformed(f"expected `old <size>`, at most {MAX_PROOF_LINES} hashes, a blank line and a checkpoint")
    return AddCheckpoint(_bounded(int(old[1])), tuple(_hash(line) for line in hashes), note)


def read_size(body: bytes) -> int:
    """How far a witness says it has come. Raises: Untrusted("add-checkpoint-malformed")."""
    size = _SIZE.fullmatch(body)
    if not size:
        raise _malformed("expected a size and a newline")
    return _bounded(int(size[1]))


def _bounded(size: int) -> int:
    if size > MAX_SIZE:
        raise _malformed("no tree has that size")
    return size


def _hash(line: str) -> bytes:
    data = read_base64(line, _malformed)
    if len(data) != HASH_BYTES:
        raise _malformed(f"a line of the proof is {HASH_BYTES} bytes")
    return data


def _malformed(message: str) -> Untrusted:
    return Untrusted("add-checkpoint-malformed", message, status=400)
