"""One request against what this witness saw before: the order of the checks is the specification's.

    verdict = judge(body, known=store.head, trust=trust)

Pure: nothing is written or signed here. A verdict to cosign counts only once the head it names is on the disk.

Source: c2sp.org/tlog-witness, `add-checkpoint`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consent_core.errors import Untrusted
from consent_core.formats.add_checkpoint import AddCheckpoint, read_add_checkpoint
from consent_core.formats.note import Checkpoint, open_checkpoint, read_checkpoint, read_note
from consent_core.formats.tlog import EMPTY_ROOT, verify_consistency
from consent_core.formats.token import Key
from consent_core.trust.signatures import verify_signature

BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 400, 403, 404, 409, 422


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint of a log that this witness cosigned. A log never seen has size 0."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Cosign:
    """Remember `checkpoint` and sign `note`."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer `status`. `size`: how far this witness has come, where the log should know.

    `evidence`: the note, if the log signed something that it cannot have signed honestly, or could not prove.
    """

    status: int
    code: str
    size: int | None = None
    evidence: bytes | None = None


# origin -> the public keys of that log
Logs = Mapping[str, Sequence[Key]]


def read_request(body: bytes, logs: Logs) -> tuple[AddCheckpoint, Checkpoint] | Refuse:
    """The request, if it is well formed and signed by the log that it is about."""
    try:
        request = read_add_checkpoint(body)
        checkpoint = read_checkpoint(read_note(request.note).text)
    except Untrusted as error:
        return Refuse(BAD_REQUEST, error.code)
    if checkpoint.origin not in logs:
        return Refuse(NOT_FOUND, "note-origin")
    try:
        open_checkpoint(request.note, checkpoint.origin, logs[checkpoint.origin], (), 0, verify_signature)
    except Untrusted as error:
        return Refuse(FORBIDDEN, error.code)
    return request, checkpoint


def judge(request: AddCheckpoint, checkpoint: Checkpoint, head: Head) -> Cosign | Refuse:
    """Whether the log only grew since `head`; asked again for what it saw, the witness signs again.

    Two roots of one size are a fork; `old` does not matter.
    """
    if request.old > checkpoint.size:
        return Refuse(BAD_REQUEST, "add-checkpoint-malformed")
    if checkpoint.size == head.size and checkpoint.root != head.root:
        return Refuse(CONFLICT, "ledger-forked", size=head.size, evidence=request.note)
    if request.old != head.size:
        return Refuse(CONFLICT, "witness-behind", size=head.size)
    try:
        _require_growth(request, checkpoint, head)
    except Untrusted as error:
        return Refuse(UNPROCESSABLE, error.code, evidence=request.note)
    return Cosign(checkpoint, request.note)


def _require_growth(request: AddCheckpoint, checkpoint: Checkpoint, head: Head) -> None:
    if head.size == 0:
        if request.proof:
            raise Untrusted("proof", "every log grows from nothing: there is no proof of that")
        return
    verify_consistency(head.size, head.root, checkpoint.size, checkpoint.root, request.proof)
