"""The ledger as public files: tiles, bundles, the checkpoint. One directory, which any web server may serve.

Trust in this store: *not trusted*. Who can change it makes proofs fail; the sequencer makes every missing or wrong
tile anew from its rows. Files never change under their names, but for `checkpoint`, which only grows.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from consent_core.crash import crash_point
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.note import Checkpoint, read_checkpoint, read_note
from consent_core.formats.tile import ENTRIES, WIDTH, cut_bundle, tile_path
from consent_core.formats.tlog import HASH_BYTES
from consent_core.trust.files import PUBLIC, locked, sync_directory, write_atomically

CHECKPOINT = "checkpoint"


class TileDirectory:
    """The public files under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def read(self, level: int, n: int, width: int) -> bytes:
        """The first `width` hashes of a tile; a fuller file holds them too. Raises: Untrusted("tile")."""
        return self._read(level, n, width)[: width * HASH_BYTES]

    def bundle(self, n: int, width: int) -> bytes:
        """The first `width` entries of a bundle, as that bundle has them. Raises: Untrusted("tile")."""
        return cut_bundle(self._read(ENTRIES, n, width), width)

    def has(self, level: int | str, n: int, width: int) -> bool:
        """Whether that very file is there; its content is not looked at."""
        return (self.root / tile_path(level, n, width)).exists()

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put files under their final names; all of them are on the disk when this returns.

        Raises: Unavailable("ledger-io").
        """
        folders = {(self.root / path).parent for path in files}
        with _as_unavailable():
            self._make(folders)
            for path, data in files.items():
                _write(self.root / path, data)
                crash_point("ledger-tile")
            for folder in folders:
                sync_directory(folder)

    def forget_partials(self, level: int | str, n: int) -> None:
        """Remove the partial files of a tile that has long been full."""
        if n >= 0:
            with suppress(FileNotFoundError):
                shutil.rmtree(self.root / f"{tile_path(level, n)}.p")

    def checkpoint(self) -> bytes | None:
        """The published note, cosignatures included; None before the first."""
        with suppress(FileNotFoundError):
            return (self.root / CHECKPOINT).read_bytes()
        return None

    def published(self) -> Checkpoint | None:
        """What it says. Not verified: it is our own file."""
        note = self.checkpoint()
        return None if note is None else read_checkpoint(read_note(note).text)

    def publish(self, note: bytes) -> bool:
        """Replace the checkpoint by a later one; False if it is none. Two publishers never set it back."""
        with _as_unavailable(), locked(self.root):
            before, after = self.published(), read_checkpoint(read_note(note).text)
            if before is not None and before.size >= after.size:
                return False
            write_atomically(self.root / CHECKPOINT, note, PUBLIC)
        return True

    def _read(self, level: int | str, n: int, width: int) -> bytes:
        for candidate in (width, WIDTH, *self._widths(level, n, width)):
            with suppress(FileNotFoundError):
                return (self.root / tile_path(level, n, candidate)).read_bytes()
        raise Untrusted("tile", f"{tile_path(level, n, width)} is missing")

    def _widths(self, level: int | str, n: int, width: int) -> Iterable[int]:
        folder = self.root / f"{tile_path(level, n)}.p"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal() and int(name) > width)

    def _make(self, folders: Iterable[Path]) -> None:
        """Folders that are missing, each made durable in its parent."""
        for folder in folders:
            missing = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            for path in missing:
                sync_directory(path.parent)


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """A disk that refuses is asked again with the next beat."""
    try:
        yield
    except OSError as error:
        raise Unavailable("ledger-io", f"the ledger's files cannot be written: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PUBLIC)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
