"""A second place for every published file of the ledger, which only ever adds.

    archive.put_if_absent("tile/0/000", data)      # the same bytes again are fine; other bytes are `archive-conflict`
    archive.put_checkpoint(note)                    # last, so that the files it needs are there

Trust in this store: *not trusted*, append-only: commitments, checkpoints and bodies of public lists; never a person's
body. What is read back from it is checked against a cosigned root. Nothing in it needs to be undeletable by its owner.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from consent_core.crash import crash_point
from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.note import read_checkpoint, read_note
from consent_core.formats.tile import ENTRIES, tile_path, tiles
from consent_core.formats.token import decode_base64url, encode_base64url
from consent_core.trust.files import PUBLIC, sync_directory, write_atomically
from control_plane.ledger.store import LedgerStore
from control_plane.ledger.tiles import CHECKPOINT, TileDirectory

MAX_FACT_BYTES = 4_194_304


class Archive(Protocol):
    """Where published files are kept a second time. Every method raises Unavailable("archive-unavailable")."""

    def put_if_absent(self, path: str, data: bytes) -> None:
        """Durable when it returns. Raises: Untrusted("archive-conflict") if other bytes are there."""
        ...

    def put_checkpoint(self, note: bytes) -> None:
        """Replace the checkpoint."""
        ...

    def checkpoint(self) -> bytes | None:
        """The newest checkpoint that was put; None before the first."""
        ...


class DirectoryArchive:
    """An archive on a disk of its own, mounted here."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_if_absent(self, path: str, data: bytes) -> None:
        """Write once."""
        target = self.root / path
        try:
            if target.exists():
                _require_same(path, target.read_bytes(), data)
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, data, PUBLIC)
            sync_directory(target.parent.parent)
        except OSError as error:
            raise _unavailable(error) from error

    def put_checkpoint(self, note: bytes) -> None:
        """The one file that changes."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomically(self.root / CHECKPOINT, note, PUBLIC)
        except OSError as error:
            raise _unavailable(error) from error

    def checkpoint(self) -> bytes | None:
        """What was put last."""
        with suppress(FileNotFoundError):
            return (self.root / CHECKPOINT).read_bytes()
        return None


def open_archive(place: str) -> Archive:
    """A directory, or `s3://bucket/prefix`. Nothing is asked of it yet."""
    if not place.startswith("s3://"):
        return DirectoryArchive(Path(place))
    from control_plane.ledger.s3_archive import S3Archive  # boto3 costs 0.3 s and 20 MB: only who has a bucket pays

    return S3Archive.open(place)


def archived_size(archive: Archive) -> int:
    """How many leaves the archive's newest checkpoint covers."""
    note = archive.checkpoint()
    return 0 if note is None else read_checkpoint(read_note(note).text).size


def fact_path(commitment: bytes) -> str:
    """Where the body of a fact lies in an archive; it is not served from there."""
    name = commitment.hex()
    return f"facts/{name[:2]}/{name}"


def write_fact(body: bytes, salt: bytes | None) -> bytes:
    """Body and salt of a fact; a public one has no salt."""
    return canonical_json({"body": encode_base64url(body), "salt": None if salt is None else encode_base64url(salt)})


def read_fact(data: bytes) -> tuple[bytes, bytes | None]:
    """What `write_fact` wrote. Raises: Untrusted("archive-malformed")."""
    try:
        value = read_json_object(data, MAX_FACT_BYTES)
        return decode_base64url(value["body"]), None if value["salt"] is None else decode_base64url(value["salt"])
    except (ConsentEdgeError, KeyError, TypeError) as error:
        raise Untrusted("archive-malformed", "a fact in the archive is not of its form") from error


def archive_published(public: TileDirectory, archive: Archive, store: LedgerStore) -> None:
    """Add every file that the published tree has and the archived one had not; the checkpoint comes last.

    Raises: Unavailable("archive-unavailable"), Untrusted("archive-conflict"): the next beat tries again.
    """
    note, published = public.checkpoint(), public.published()
    if note is None or published is None or published.size <= archived_size(archive):
        return
    since = archived_size(archive)
    for path, data in _files(public, since, published.size):
        archive.put_if_absent(path, data)
        crash_point("archive-tile")
    for fact in store.facts.between(since, published.size):
        archive.put_if_absent(fact_path(fact.key), write_fact(fact.body, fact.salt))
        if fact.salt is None:
            archive.put_if_absent(f"{fact.kind}/{fact.n}", fact.body)
    archive.put_checkpoint(note)
    crash_point("archive-checkpoint")


def _files(public: TileDirectory, since: int, size: int) -> Iterator[tuple[str, bytes]]:
    for level, n, width in tiles(size, since):
        yield tile_path(level, n, width), public.read(level, n, width)
        if level == 0:
            yield tile_path(ENTRIES, n, width), public.bundle(n, width)


def _require_same(path: str, there: bytes, data: bytes) -> None:
    if there != data:
        raise Untrusted("archive-conflict", f"{path} is in the archive with other bytes")


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable("archive-unavailable", f"the archive cannot be used: {error.strerror}")
