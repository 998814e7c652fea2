"""What a POP reports of itself: `POST /v1/pops/{pop}/status`. Wire format: `docs/formats/pop-status.md`.

    status = read_status(body)
    status.policy_hash, status.revocation_seq, status.receipts

A purge receipt says that this POP has erased one visitor, and how much there was.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.consent import MAX_BODY_BYTES, bad_request
from consent_core.formats.fields import MAX_NUMBER, Fields

MAX_RECEIPTS = 200  # in one report; the rest goes with the next
MAX_RELEASES = 64
OUTBOX_LATE_S = 60  # a "no" that waits longer at a POP is past the bound within which it is to hold everywhere
MAX_PARTS = 256  # of one receipt: a trail and a memory per process, and what a store holds
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MAX_TRAILS = 128  # of one POP besides its first
TRAIL = re.compile(r"[a-z0-9-]{1,64}\.w[0-9]{1,3}")
HEAD = re.compile(r"[0-9]{1,20}:[0-9a-f]{64}")
PERSON = re.compile(r"[0-9a-f]{64}")

_STATUS = ("policy_hash", "revocation_seq", "releases", "audit_head", "receipts")


@dataclass(frozen=True, slots=True)
class PurgeReceipt:
    """One visitor erased at one POP. `seq`: the log entry obeyed. `at`: Unix seconds.

    `deleted`: by part, how much there was; each was counted again and is empty. `ends`: by part that cannot be cut, the
    UTC date on which it goes.
    """

    seq: int
    subject: str
    at: int
    deleted: Mapping[str, int]
    ends: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PopStatus:
    """One report. `releases`: model id to release name; `untrusted`: refused artefacts counted by error code.

    `audit_head`: of this POP's trail; `worker_heads`: of its further trails, by name. `outbox_oldest_s`: how long the
    oldest "no" said there has waited to be forwarded.
    """

    policy_hash: str | None
    revocation_seq: int
    releases: Mapping[str, str] = field(default_factory=dict)
    audit_head: str | None = None
    receipts: tuple[PurgeReceipt, ...] = ()
    untrusted: Mapping[str, int] = field(default_factory=dict)
    worker_heads: Mapping[str, str] = field(default_factory=dict)
    outbox_oldest_s: int = 0


def write_status(status: PopStatus) -> bytes:
    """The JSON of a report; `read_status` gives the same value back."""
    value = asdict(status)
    if not status.worker_heads:  # a member that POPs of one process never send
        del value["worker_heads"]
    if not status.outbox_oldest_s:
        del value["outbox_oldest_s"]
    return canonical_json(value)


def read_status(data: bytes) -> PopStatus:
    """Raises: Rejected("bad-request")."""
    try:
        value = read_json_object(data, MAX_BODY_BYTES)
    except Untrusted as error:
        raise bad_request(error.message) from error
    fields = Fields(value, bad_request, _STATUS, ("untrusted", "worker_heads", "outbox_oldest_s"))
    return PopStatus(
        policy_hash=None if fields.absent("policy_hash") else fields.matching("policy_hash", DIGEST),
        revocation_seq=fields.number("revocation_seq"),
        releases=_texts(fields.mapping("releases")),
        audit_head=None if fields.absent("audit_head") else fields.matching("audit_head", HEAD),
        receipts=tuple(_receipt(item) for item in fields.items("receipts", MAX_RECEIPTS)),
        untrusted={} if fields.absent("untrusted") else _counts(fields.mapping("untrusted")),
        worker_heads={} if fields.absent("worker_heads") else _heads(fields.mapping("worker_heads")),
        outbox_oldest_s=0 if fields.absent("outbox_oldest_s") else fields.number("outbox_oldest_s"),
    )


def _receipt(value: object) -> PurgeReceipt:
    fields = Fields(value, bad_request, ("seq", "subject", "at", "deleted"), ("ends",))
    deleted = _counts(fields.mapping("deleted"), MAX_PARTS)
    ends = {} if fields.absent("ends") else _dates(fields.mapping("ends"))
    return PurgeReceipt(fields.number("seq"), fields.matching("subject", PERSON), fields.number("at"), deleted, ends)


def _texts(value: dict[str, Any]) -> dict[str, str]:
    if len(value) > MAX_RELEASES or not all(isinstance(item, str) and len(item) <= 256 for item in value.values()):
        raise bad_request(f"releases: expected at most {MAX_RELEASES} names")
    return value


def _heads(value: dict[str, Any]) -> dict[str, str]:
    if len(value) > MAX_TRAILS or not all(
        TRAIL.fullmatch(name) and isinstance(head, str) and HEAD.fullmatch(head) for name, head in value.items()
    ):
        raise bad_request("worker_heads: expected <sequence>:<64 hex digits> by trail")
    return value


def _dates(value: dict[str, Any]) -> dict[str, str]:
    if len(value) > MAX_PARTS or not all(isinstance(date, str) and DATE.fullmatch(date) for date in value.values()):
        raise bad_request("ends: expected YYYY-MM-DD by part")
    return value


def _counts(value: dict[str, Any], most: int = MAX_RELEASES) -> dict[str, int]:
    if len(value) > most or not all(type(n) is int and 0 <= n <= MAX_NUMBER for n in value.values()):
        raise bad_request("expected whole numbers by name")
    return value
