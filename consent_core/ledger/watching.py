"""What must hold between two looks at one ledger: it only grew, its list did not shrink, no place spoke twice.

    watched, findings = look(ledger, trust, watched)

Who looks from several places, and compares the checkpoints, finds a ledger that tells two stories.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from consent_core.errors import Untrusted
from consent_core.evidence.bodies import AttesterList, read_attesters
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.leaf import Leaf, public_commitment, read_leaf
from consent_core.formats.note import Checkpoint
from consent_core.formats.seen import Seen, read_seen
from consent_core.formats.tlog import consistency_path, verify_consistency
from consent_core.ledger.reading import PublishedLedger

MAX_BYTES = 16_777_216


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen so far. `spoke`: `by/life` -> highest n of its attestations; `places`: of the newest list."""

    seen: Seen | None = None
    spoke: Mapping[str, int] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    lists: int = 0

    def to_bytes(self) -> bytes:
        """`read_watched` gives the same value back."""
        seen = None if self.seen is None else self.seen.text
        return canonical_json(
            {"seen": seen, "spoke": dict(self.spoke), "places": list(self.places), "lists": self.lists}
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be."""

    code: str
    detail: str


def read_watched(data: bytes) -> Watched:
    """Raises: Untrusted("watch-malformed" | "json-malformed")."""
    value = read_json_object(data, MAX_BYTES)
    try:
        seen = None if value["seen"] is None else read_seen(value["seen"], _malformed)
        return Watched(seen, dict(value["spoke"]), tuple(value["places"]), int(value["lists"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed("not what a watcher wrote") from error


def look(ledger: PublishedLedger, watched: Watched) -> tuple[Watched, list[Finding]]:
    """The next look. A ledger that did not grow from the last one is not looked into: what was seen stays.

    Raises: Untrusted("tile" | "leaf-malformed"), Unavailable: nothing can be said.
    """
    checkpoint = ledger.opened.checkpoint
    refusal = _not_grown(ledger, watched)
    if refusal is not None:
        return watched, [refusal]
    findings: list[Finding] = []
    for data in ledger.leaves(0 if watched.seen is None else watched.seen.size, ledger.size):
        watched = _after(watched, read_leaf(data), ledger, findings)
    return replace(watched, seen=Seen(checkpoint.size, checkpoint.root)), findings


def require_grown(ledger: PublishedLedger, before: Seen) -> None:
    """Raises: Untrusted("ledger-rewound" | "ledger-forked" | "proof")."""
    now: Checkpoint = ledger.opened.checkpoint
    if now.size < before.size:
        raise Untrusted("ledger-rewound", f"it had {before.size} leaves, now {now.size}")
    if now.size == before.size and now.root != before.root:
        raise Untrusted("ledger-forked", f"two roots of {now.size} leaves")
    if before.size:
        path = consistency_path(before.size, now.size, ledger.hashes)
        verify_consistency(before.size, before.root, now.size, now.root, path)


def _not_grown(ledger: PublishedLedger, watched: Watched) -> Finding | None:
    if watched.seen is None:
        return None
    try:
        require_grown(ledger, watched.seen)
    except Untrusted as error:
        code = "ledger-forked" if error.code == "proof" else error.code
        return Finding(code, error.message)
    return None


def _after(watched: Watched, leaf: Leaf, ledger: PublishedLedger, findings: list[Finding]) -> Watched:
    if leaf.kind == "attestation":
        return _after_attestation(watched, leaf, findings)
    if leaf.kind == "attesters" and leaf.n is not None:
        return _after_list(watched, leaf, leaf.n, ledger, findings)
    return watched


def _after_attestation(watched: Watched, leaf: Leaf, findings: list[Finding]) -> Watched:
    who, n = f"{leaf.by}/{leaf.life}", leaf.n or 0
    if n <= watched.spoke.get(who, 0):
        findings.append(Finding("attester-twice", f"{leaf.by} said number {n} of life {leaf.life} twice"))
        return watched
    return replace(watched, spoke={**watched.spoke, who: n})


def _after_list(watched: Watched, leaf: Leaf, n: int, ledger: PublishedLedger, findings: list[Finding]) -> Watched:
    body = ledger.source.fetch(f"attesters/{n}")
    if body is None or public_commitment(body) != leaf.commitment:
        findings.append(Finding("attesters-missing", f"list {n} is not there, or another one"))
        return watched
    listed = _listed(body, n)
    if n != watched.lists + 1:
        findings.append(Finding("attesters-missing", f"list {n} follows list {watched.lists}"))
    gone = set(watched.places) - set(listed.places)
    if gone:
        findings.append(Finding("attesters-shrank", f"list {n} no longer has {', '.join(sorted(gone))}"))
    return replace(watched, places=listed.places, lists=n)


def _listed(body: bytes, n: int) -> AttesterList:
    value: dict[str, Any] = read_json_object(body, MAX_BYTES)
    listed = read_attesters(value)
    if listed.n != n:
        raise Untrusted("evidence-form", f"list {n} says that it is list {listed.n}")
    return listed


def _malformed(message: str) -> Untrusted:
    return Untrusted("watch-malformed", message)
