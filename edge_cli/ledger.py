"""What `edge ledger` does: verdicts as plain values, which the commands print."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from consent_core.clock import SystemClock
from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.leaf import COMMITMENT_BYTES, read_leaf
from consent_core.formats.note import OpenedCheckpoint
from consent_core.formats.seen import Seen
from consent_core.formats.tlog import inclusion_path, leaf_hash, verify_inclusion
from consent_core.formats.tlog_proof import Proof, read_proof, write_proof
from consent_core.formats.token import decode_base64url
from consent_core.ledger.reading import open_ledger
from consent_core.ledger.sources import source_of
from consent_core.ledger.watching import Watched, look, read_watched, require_grown
from consent_core.trust.checkpoints import open_in_force
from consent_core.trust.files import write_atomically
from consent_core.trust.trust_file import TrustFile
from edge_cli.console import when


def verdict_of_ledger(place: str, trust_path: Path, since: Path | None) -> dict[str, Any]:
    """Everything recomputed. Raises: Untrusted, Unavailable."""
    trust = TrustFile.load(trust_path)
    with source_of(place) as source:
        ledger = open_ledger(source, trust)
        leaves = [read_leaf(leaf) for leaf in ledger.verified_leaves()]
        if since is not None:
            before = open_in_force(since.read_bytes(), trust).checkpoint
            require_grown(ledger, Seen(before.size, before.root))
    kinds = {kind: sum(leaf.kind == kind for leaf in leaves) for kind in sorted({leaf.kind for leaf in leaves})}
    return {"verdict": "in order", **_signed(ledger.opened, trust), "leaves": kinds, "trust_file": _digest(trust_path)}


def verdict_of_proof(data: bytes, trust_path: Path) -> dict[str, Any]:
    """One leaf's proof, offline. Raises: Untrusted."""
    trust, proof = TrustFile.load(trust_path), read_proof(data)
    opened = open_in_force(proof.note, trust)
    checkpoint = opened.checkpoint
    verify_inclusion(proof.index, checkpoint.size, leaf_hash(proof.leaf), proof.path, checkpoint.root)
    leaf = {"leaf": proof.leaf.decode(), "index": proof.index}
    return {"verdict": "in the ledger", **leaf, **_signed(opened, trust), "trust_file": _digest(trust_path)}


def proof_of(leaf: str, place: str, trust_path: Path) -> tuple[bytes, int]:
    """The proof's text and the leaf's place. Raises: Rejected("leaf-unknown"), Untrusted, Unavailable."""
    wanted = _commitment(leaf)
    with source_of(place) as source:
        ledger = open_ledger(source, TrustFile.load(trust_path))
        for index, data in enumerate(ledger.leaves(0, ledger.size)):
            if read_leaf(data).commitment == wanted:
                path = inclusion_path(index, ledger.size, ledger.hashes)
                return write_proof(Proof(data, index, tuple(path), ledger.note)), index
    raise Rejected("leaf-unknown", "no leaf of the published ledger has this commitment", status=404)


def look_again(place: str, trust_path: Path, state: Path) -> dict[str, Any]:
    """One more look; what was seen is written down unless something was found. Raises: Untrusted, Unavailable."""
    trust = TrustFile.load(trust_path)
    before = read_watched(state.read_bytes()) if state.exists() else Watched()
    with source_of(place) as source:
        ledger = open_ledger(source, trust)
        after, findings = look(ledger, before)
    if not findings:
        write_atomically(state, after.to_bytes())
    return {**_signed(ledger.opened, trust), "findings": [asdict(finding) for finding in findings]}


def listed_in(place: str, trust_path: Path) -> frozenset[str]:
    """The places of the newest list that the ledger commits to; every list was looked at.

    Raises: Untrusted("attesters-missing" and those of a ledger that cannot be read), Unavailable.
    """
    with source_of(place) as source:
        watched, findings = look(open_ledger(source, TrustFile.load(trust_path)), Watched())
    missing = [finding for finding in findings if finding.code == "attesters-missing"]
    if missing:
        raise Untrusted(missing[0].code, missing[0].detail)
    return frozenset(watched.places)


def status_of(data: Path, url: str | None = None) -> dict[str, Any]:
    """The sequencer of this data directory, looked at from beside it. Raises: Unavailable("ledger-none")."""
    from control_plane.ledger.ledger import PUBLIC, LedgerSettings
    from control_plane.ledger.store import LedgerStore
    from control_plane.ledger.tiles import TileDirectory

    settings = LedgerSettings(data / "control-plane" / "ledger", url)
    if url is None and not (settings.directory / "ledger.db").exists():
        raise Unavailable("ledger-none", f"no ledger in {settings.directory}")
    store, public = LedgerStore.open(settings.store_url), TileDirectory(settings.directory / PUBLIC)
    try:
        size, waiting, findings = store.head().size, store.count_waiting(), store.findings.all()
    finally:
        store.close()
    told: dict[str, Any] = {"committed": size, "waiting": waiting, "published": 0}
    note = public.checkpoint()
    if note is not None:
        told |= _published(note, TrustFile.load(data / "trust.json"))
    return {**told, "findings": [f"{f.code}: {f.detail}, {when(f.at)}" for f in findings]}


def restored_from(place: str, trust_path: Path, data: Path) -> dict[str, Any]:
    """A database made again. Raises: as `restore`."""
    from control_plane.ledger.ledger import LedgerSettings
    from control_plane.ledger.restoring import restore

    settings = LedgerSettings(data / "control-plane" / "ledger")
    with source_of(place) as source:
        restored = restore(settings, source, TrustFile.load(trust_path), SystemClock().now())
    return {"leaves": restored.size, "put_again": restored.again, "old_database": restored.kept}


def _signed(opened: OpenedCheckpoint, trust: TrustFile) -> dict[str, Any]:
    """Who stands behind a checkpoint, said so that one party's word is not taken for several."""
    named, quorum = len(trust.witnesses), trust.witness_quorum
    return {
        "size": opened.checkpoint.size,
        "witness_time": opened.witness_time,
        "witnesses": [f"{c.name}, {when(c.at)}" for c in opened.cosignatures],
        "quorum": f"{quorum} of {named}",
        "warning": _warning(quorum, named),
    }


def _warning(quorum: int, named: int) -> str | None:
    if quorum == 0:
        return "no witness is asked for: this is the operator's word alone"
    if quorum * 2 <= named:
        return "two stories are possible: half or fewer of the witnesses must sign"
    return None


def _published(note: bytes, trust: TrustFile) -> dict[str, Any]:
    opened = open_in_force(note, trust)
    signed = _signed(opened, trust)
    age = None if opened.witness_time is None else SystemClock().now() - opened.witness_time
    return {"published": signed.pop("size"), "witness_age_s": age, **signed}


def _commitment(text: str) -> bytes:
    try:
        commitment = bytes.fromhex(text) if len(text) == 2 * COMMITMENT_BYTES else decode_base64url(text)
    except (ValueError, Rejected) as error:
        raise Rejected("leaf-unknown", "expected a commitment: 64 hex digits, or 43 of base64url") from error
    if len(commitment) != COMMITMENT_BYTES:
        raise Rejected("leaf-unknown", f"a commitment is {COMMITMENT_BYTES} bytes, this is {len(commitment)}")
    return commitment


def _digest(trust_path: Path) -> str:
    return f"{sha256_digest(trust_path.read_bytes())}: from where do you have it?"
