"""Checkpoints: a log's size and root as a signed note, cosigned by witnesses. `docs/formats/checkpoint.md`.

    note = sign_checkpoint(Checkpoint("ui-tools/consent-edge", 70_000, root), [ledger_key])
    note += cosign(note, "w1.example", witness_key, at=1_800_000_000)
    opened = open_checkpoint(note, origin, trust.keys("ledger"), trust.witnesses, trust.witness_quorum, verify)
    opened.checkpoint.size, opened.witness_time

A note is text, a blank line, and signature lines. Lines by keys that the reader does not know are ignored (a following
key, somebody else's witness); a line by a known key that does not verify refuses the whole note. No clock, no files:
the caller says which keys, and when something is old.

Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature (Ed25519: 0x01 and 0x04).
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.base64_text import read_base64, write_base64
from consent_core.formats.fields import MAX_NUMBER
from consent_core.formats.tlog import HASH_BYTES, MAX_SIZE
from consent_core.formats.token import Key

MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 64
LOG_SIGNATURE = 0x01  # Ed25519 over the text
COSIGNATURE = 0x04  # Ed25519 over a time and the text
KEY_ID_BYTES = 4
TIME_BYTES = 8
ED25519 = "ed25519"

_DASH = "\u2014"
_NAME = re.compile(r"[^\s+]{1,256}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")

# verify(algorithm, key, message, signature) returns nothing and raises Rejected on a bad signature.
Verify = Callable[[str, bytes, bytes, bytes], None]


class Signer(Protocol):
    """An Ed25519 private key."""

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes."""
        ...


class WitnessKey(Protocol):
    """Who may cosign."""

    @property
    def name(self) -> str:
        """As its signature lines say it."""
        ...

    @property
    def key(self) -> bytes:
        """32 raw bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log at one moment: `size` leaves under `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """One signature line, its signature not yet checked."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart: the signed text with its last newline, and the lines below it."""

    text: bytes
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's word that it saw this checkpoint, and that the log only grew until then. `at`: Unix seconds."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint whose signatures were checked.

    `kids`: the log's keys that signed it. `witness_time`: the quorum-th smallest time of its cosignatures, by when as
    many witnesses as the reader asks for had seen it; None where the reader asks for none.
    """

    checkpoint: Checkpoint
    kids: tuple[str, ...]
    cosignatures: tuple[Cosignature, ...]
    witness_time: int | None


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> bytes:
    """The note of a checkpoint, signed by each of the log's keys."""
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{write_base64(checkpoint.root)}\n".encode()
    name = checkpoint.origin
    lines = [_line(name, key_id(name, LOG_SIGNATURE, key.public_key) + key.sign(text)) for key in signers]
    return text + b"\n" + b"".join(lines)


def cosign(note: bytes, name: str, signer: Signer, at: int) -> bytes:
    """The signature line of a witness at Unix second `at`, which goes below the note.

    Raises: Untrusted("note-malformed").
    """
    signature = signer.sign(_cosigned(at, read_note(note).text))
    return _line(name, key_id(name, COSIGNATURE, signer.public_key) + at.to_bytes(TIME_BYTES) + signature)


def key_id(name: str, kind: int, public_key: bytes) -> bytes:
    """What a signature line names its key by."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:KEY_ID_BYTES]


def open_checkpoint(
    note: bytes, origin: str, keys: Sequence[Key], witnesses: Sequence[WitnessKey], quorum: int, verify: Verify
) -> OpenedCheckpoint:
    """The checkpoint that a key of the log signed and `quorum` of the witnesses cosigned.

    Raises: Untrusted("note-malformed" | "note-origin" | "note-signature" | "witness-quorum").
    """
    opened = read_note(note)
    checkpoint = read_checkpoint(opened.text)
    if checkpoint.origin != origin:
        raise Untrusted("note-origin", f"expected a checkpoint of {origin}")
    kids = _log_keys(opened, origin, keys, verify)
    if not kids:
        raise Untrusted("note-signature", "no key of the log signed it")
    cosignatures = _cosignatures(opened, witnesses, verify)
    if len(cosignatures) < quorum:
        raise Untrusted("witness-quorum", f"{len(cosignatures)} witnesses cosigned it, expected {quorum}")
    times = sorted(cosignature.at for cosignature in cosignatures)
    return OpenedCheckpoint(checkpoint, kids, cosignatures, times[quorum - 1] if quorum else None)


def read_note(data: bytes) -> Note:
    """A note in its one spelling. Raises: Untrusted("note-malformed")."""
    text, separator, lines = _text_of(data).rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise _malformed("expected text, a blank line and signature lines")
    return Note(f"{text}\n".encode(), read_lines(lines.encode()))


def read_lines(data: bytes) -> tuple[Line, ...]:
    """Signature lines alone, as a witness answers them. Raises: Untrusted("note-malformed")."""
    lines = _text_of(data).removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise _malformed(f"more than {MAX_SIGNATURES} signatures")
    return tuple(_read_line(line) for line in lines)


def read_checkpoint(text: bytes) -> Checkpoint:
    """The three lines of a checkpoint; extension lines are refused. Raises: Untrusted("note-malformed")."""
    lines = text.decode().split("\n")
    if len(lines) != 4 or lines[3] or not _NAME.fullmatch(lines[0]):
        raise _malformed("a checkpoint is an origin, a size and a root")
    return Checkpoint(lines[0], _size(lines[1]), _root(lines[2]))


def _log_keys(note: Note, origin: str, keys: Sequence[Key], verify: Verify) -> tuple[str, ...]:
    by_id = {key_id(origin, LOG_SIGNATURE, key.key): key for key in keys if key.algorithm == ED25519}
    kids = []
    for line in note.lines:
        if line.name == origin and (key := by_id.get(line.key_id)):
            _check(verify, key.key, note.text, line.signature)
            kids.append(key.kid)
    return tuple(dict.fromkeys(kids))


def _cosignatures(note: Note, witnesses: Sequence[WitnessKey], verify: Verify) -> tuple[Cosignature, ...]:
    """Each witness counts once, however many lines name it: with the first time that it gave."""
    by_id = {(witness.name, key_id(witness.name, COSIGNATURE, witness.key)): witness.key for witness in witnesses}
    times: dict[str, int] = {}
    for line in note.lines:
        if key := by_id.get((line.name, line.key_id)):
            at = _cosigned_at(line)
            _check(verify, key, _cosigned(at, note.text), line.signature[TIME_BYTES:])
            times[line.name] = min(at, times.get(line.name, at))
    return tuple(Cosignature(name, at) for name, at in times.items())


def _cosigned_at(line: Line) -> int:
    at = int.from_bytes(line.signature[:TIME_BYTES])
    if len(line.signature) <= TIME_BYTES or not 0 < at <= MAX_NUMBER:
        raise _malformed("a cosignature begins with its time")
    return at


def _cosigned(at: int, text: bytes) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (at, text)


def _check(verify: Verify, key: bytes, message: bytes, signature: bytes) -> None:
    try:
        verify(ED25519, key, message, signature)
    except Rejected as error:
        raise Untrusted("note-signature", "a line by a known key does not verify") from error


def _text_of(data: bytes) -> str:
    if len(data) > MAX_NOTE_BYTES:
        raise _malformed(f"longer than {MAX_NOTE_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("not UTF-8") from error
    if _CONTROL.search(text):
        raise _malformed("a control character")
    return text


def _read_line(line: str) -> Line:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH or not _NAME.fullmatch(parts[1]):
        raise _malformed("a signature line is a dash, a name and base64")
    signature = read_base64(parts[2], _malformed)
    if len(signature) <= KEY_ID_BYTES:
        raise _malformed("a signature line holds a key id and a signature")
    return Line(parts[1], signature[:KEY_ID_BYTES], signature[KEY_ID_BYTES:])


def _line(name: str, signature: bytes) -> bytes:
    if not _NAME.fullmatch(name):
        raise ValueError("a name in a note has neither spaces nor a plus")
    return f"{_DASH} {name} {write_base64(signature)}\n".encode()


def _size(text: str) -> int:
    if not _SIZE.fullmatch(text) or int(text) > MAX_SIZE:
        raise _malformed("a size is a whole number without leading zeros")
    return int(text)


def _root(text: str) -> bytes:
    root = read_base64(text, _malformed)
    if len(root) != HASH_BYTES:
        raise _malformed(f"a root is {HASH_BYTES} bytes")
    return root


def _malformed(message: str) -> Untrusted:
    return Untrusted("note-malformed", message)
