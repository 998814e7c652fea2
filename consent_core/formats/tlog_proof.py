"""A proof for others that a leaf is in the ledger: one text that needs the trust file and nothing else.

    text = write_proof(Proof(leaf, index, path, note))
    read_proof(text).leaf

Wire format: `docs/formats/tlog.md`. The leaf travels as `extra`, which the format leaves to us and does not
authenticate: its reader checks the path from it to the root of the checkpoint.

Source: c2sp.org/tlog-proof@v1.
"""

import re
from dataclasses import dataclass

from consent_core.errors import Untrusted
from consent_core.formats.base64_text import read_base64, write_base64
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
    lines = [HEADER, f"extra {write_base64(proof.leaf)}", f"index {proof.index}", *map(write_base64, proof.path)]
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
    leaf, path = (
        read_base64(lines[1].removeprefix("extra "), _malformed),
        tuple(read_base64(line, _malformed) for line in lines[3:]),
    )
    if len(leaf) > MAX_LEAF_BYTES or any(len(item) != HASH_BYTES for item in path):
        raise _malformed(f"a leaf has at most {MAX_LEAF_BYTES} bytes, a hash {HASH_BYTES}")
    return Proof(leaf, int(index[1]), path, note)


def _malformed(message: str) -> Untrusted:
    return Untrusted("proof-malformed", message)
