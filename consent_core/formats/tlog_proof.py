"""A proof for others that a leaf is in the ledger: one text that needs the trust file and nothing else.

    text = write_proof(Proof(leaf, index, path, note))
    read_proof(text).leaf

Wire format: `docs/formats/tlog.md`. The leaf travels as `extra`, which the format leaves to us and does not
authenticate: whoever reads it checks the path from it to the root of the checkpoint.

Source: c2sp.org/tlog-proof@v1.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from consent_core.errors import Untrusted
from consent_core.formats.leaf import MAX_LEAF_BYTES
from consent_core.formats.note import MAX_NOTE_BYTES
from consent_core.formats.tlog import HASH_BYTES

HEADER = "c2sp.org/tlog-proof@v1"
MAX_BYTES = MAX_NOTE_BYTES + 8_192
MAX_PATH = 63

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Proof:
    """`leaf` is number `index`; `path` leads from it to the root in `note`."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    note: bytes


def write_proof(proof: Proof) -> bytes:
    """The text of a proof; `read_proof` gives the same value back."""
    lines = [HEADER, f"extra {_encode(proof.leaf)}", f"index {proof.index}", *map(_encode, proof.path)]
    return "\n".join(lines).encode() + b"\n\n" + proof.note


def read_proof(data: bytes) -> Proof:
    """A proof in its one spelling, not yet checked. Raises: Untrusted("proof-malformed")."""
    head, separator, note = data.partition(b"\n\n")
    lines = head.decode("ascii", errors="replace").split("\n")
    if len(data) > MAX_BYTES or not separator or len(lines) < 3 or lines[0] != HEADER:
        raise _malformed(f"expected {HEADER}, extra, index, a path and a checkpoint")
    index = _INDEX.fullmatch(lines[2])
    if not lines[1].startswith("extra ") or not index or len(lines) > 3 + MAX_PATH:
        raise _malformed("expected the leaf as extra, and its index")
    leaf, path = _decode(lines[1].removeprefix("extra ")), tuple(_decode(line) for line in lines[3:])
    if len(leaf) > MAX_LEAF_BYTES or any(len(item) != HASH_BYTES for item in path):
        raise _malformed(f"a leaf has at most {MAX_LEAF_BYTES} bytes, a hash {HASH_BYTES}")
    return Proof(leaf, int(index[1]), path, note)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise _malformed("not base64") from error
    if _encode(data) != text:
        raise _malformed("not the canonical base64 spelling")
    return data


def _malformed(message: str) -> Untrusted:
    return Untrusted("proof-malformed", message)
