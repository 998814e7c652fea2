"""A ledger's database that was lost or set back, made again from published files alone.

    restored = restore(settings, source, trust, at)      # while no control plane runs over this directory

The files are believed as far as a cosigned checkpoint says: every leaf, every tile and the root are recomputed. What
the old database held beyond it (leaves that waited, or had a place that was never published) is put again. The old
database stays beside the new one under another name.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consent_core.errors import ConsentEdgeError, Rejected, Untrusted
from consent_core.formats.leaf import PERSON, public_commitment, read_leaf, verify_commitment
from consent_core.formats.tlog import EMPTY_ROOT
from consent_core.ledger.reading import open_ledger
from consent_core.ledger.sources import Source
from consent_core.trust.files import sync_directory
from consent_core.trust.trust_file import TrustFile
from control_plane.ledger.archive import fact_path, read_fact
from control_plane.ledger.beats import RANKS, Item
from control_plane.ledger.ledger import LOCK, LedgerSettings
from control_plane.ledger.store import Head, LedgerStore, NewLeaf

SUFFIXES = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """size: leaves of the restored tree. again: old leaves that wait for a place. kept: the old database's new name."""

    size: int
    again: int
    kept: Path | None


def restore(settings: LedgerSettings, source: Source, trust: TrustFile, at: int) -> Restored:
    """Raises: Untrusted, Unavailable: nothing was changed; Rejected("ledger-running" | "ledger-elsewhere")."""
    if settings.url is not None:
        raise Rejected("ledger-elsewhere", "a PostgreSQL ledger: restore that database's own backup beside this one")
    settings.directory.mkdir(parents=True, exist_ok=True)
    with _alone(settings.directory):
        published = open_ledger(source, trust)
        leaves = published.verified_leaves()
        checkpoint = published.opened.checkpoint
        facts = [new for leaf in leaves if (new := _fact(source, leaf)) is not None]
        again = _beyond(settings, {read_leaf(leaf).commitment for leaf in leaves})
        kept = _set_aside(settings.directory / "ledger.db", at)
        store = LedgerStore.open(settings.store_url)
        fill(store, leaves, checkpoint.root, published.note, at)
        store.put([*facts, *again], at)
        store.close()
    return Restored(checkpoint.size, len(again), kept)


def fill(store: LedgerStore, leaves: Sequence[bytes], root: bytes, note: bytes, at: int) -> None:
    """Put a whole ledger into an empty store. Raises: Unavailable("ledger-moved") if it is not empty."""
    items = [Item(None, RANKS[leaf.kind], leaf.commitment, data) for data in leaves for leaf in (read_leaf(data),)]
    store.place(Head(0, EMPTY_ROOT, b"", 0), items, root, note, at)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Raises: Rejected("ledger-running") while a control plane sequences here."""
    with (directory / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Rejected("ledger-running", "stop the control plane first", status=409) from error
        yield


def _fact(source: Source, leaf: bytes) -> NewLeaf | None:
    """A fact with its body, where the source is an archive that has it. Raises: Untrusted("commitment")."""
    commitment = read_leaf(leaf).commitment
    if read_leaf(leaf).kind == PERSON or (data := source.fetch(fact_path(commitment))) is None:
        return None
    body, salt = read_fact(data)
    if salt is None and public_commitment(body) != commitment:
        raise Untrusted("commitment", "a body in the archive is not the one that its leaf is about")
    if salt is not None:
        verify_commitment(commitment, body, salt)
    return NewLeaf(leaf, body, salt)


def _beyond(settings: LedgerSettings, known: set[bytes]) -> list[NewLeaf]:
    """What the old database has and the published tree has not; nothing if there is none, or it cannot be read."""
    if not (settings.directory / "ledger.db").exists():
        return []
    try:
        store = LedgerStore.open(settings.store_url)
        try:
            return [new for new in store.everything() if read_leaf(new.leaf).commitment not in known]
        finally:
            store.close()
    except ConsentEdgeError:
        return []


def _set_aside(path: Path, at: int) -> Path | None:
    if not path.exists():
        return None
    kept = path.with_name(f"{path.name}.before-{at}")
    for suffix in SUFFIXES:
        if (old := path.with_name(path.name + suffix)).exists():
            old.rename(kept.with_name(kept.name + suffix))
    sync_directory(path.parent)
    return kept
