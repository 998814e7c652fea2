"""Taking pictures in: a copy by digest, checked once in a render process, and the catalogue made of what is good."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from consent_core.errors import Rejected, Unavailable
from consent_core.formats.catalogue import Catalogue, parse_catalogue
from runtime_host.pop.images.files import read_regular
from runtime_host.pop.images.gallery.index import NAME, Index, Look, Seen
from runtime_host.pop.images.loading import LoadedCatalogue, assemble
from runtime_host.pop.images.pools import RenderPool
from runtime_host.pop.images.sources import Source

READERS = 4  # files read at once
MAX_CATALOGUE_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class Originals:
    """Where an operator puts the catalogue and its pictures."""

    catalogue: Path
    art: Path


class Gallery:
    """The pictures below `folder`. `owner`: the one process that tidies up; the others only read and add."""

    def __init__(self, folder: Path, originals: Originals, pool: RenderPool, *, owner: bool = True) -> None:
        self._folder, self._originals, self._pool, self._owner = folder, originals, pool, owner
        self._index = Index()
        self._files: set[str] = set()
        self._catalogue_look: Look | None = None
        self._unclear: dict[str, str] = {}  # digests that could not be checked this time, and why
        self._shown: set[str] = set()  # digests of the catalogue loaded last
        folder.mkdir(parents=True, exist_ok=True)

    async def load(self) -> LoadedCatalogue:
        """The catalogue as it is now. A picture that is broken keeps its last good, or is left out and named.

        Raises: Rejected("catalogue-invalid"); Rejected("asset-refused") where a slot would have no default left.
        """
        catalogue = await asyncio.to_thread(self._begin)
        readers = asyncio.Semaphore(READERS)
        await asyncio.gather(*(self._take_in(file, readers) for file in await asyncio.to_thread(self._unread)))
        self._unclear = {}
        await asyncio.gather(*(self._check(digest) for digest in self._unchecked()))
        return await asyncio.to_thread(self._finish, catalogue)

    def changed(self) -> bool:
        """Whether a file has another look than when it was read, was read only once, or could not be checked."""
        looks_new = _look(self._originals.catalogue) != self._catalogue_look
        return looks_new or bool(self._unclear) or next(self._unread_files(), None) is not None

    # In a thread.

    def _begin(self) -> Catalogue:
        self._catalogue_look = _look(self._originals.catalogue)
        self._index = Index.read(self._folder)
        path = self._originals.catalogue
        try:
            data = read_regular(path, path.parent, MAX_CATALOGUE_BYTES)
        except OSError as error:
            raise Rejected("catalogue-invalid", f"{path}: {error.strerror}") from error
        catalogue = parse_catalogue(data, str(path))
        self._files = {asset.file for asset in catalogue.assets.values()}
        return catalogue

    def _unread(self) -> list[str]:
        return list(self._unread_files())

    def _unread_files(self) -> Iterator[str]:
        for file in self._files:
            seen = self._index.seen.get(file)
            if seen is None or seen.look != _look(self._originals.art / file) or (self._owner and not seen.settled):
                yield file

    def _read(self, file: str) -> None:
        look = _look(self._originals.art / file)
        before = self._index.seen.get(file)
        try:
            digest, why = self._copy(read_regular(self._originals.art / file, self._originals.art)), ""
        except OSError as error:
            digest, why = None, error.strerror or "cannot be read"
        settled = before is not None and (before.look, before.digest) == (look, digest)
        self._index.seen[file] = Seen(look, digest, settled, why)

    def _copy(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        if not (self._folder / digest).exists():
            staged = self._folder / f"{digest}.{uuid4().hex}.tmp"  # two assets may be one picture
            staged.write_bytes(data)
            staged.replace(self._folder / digest)
        return digest

    def _finish(self, catalogue: Catalogue) -> LoadedCatalogue:
        sources: dict[str, Source] = {}
        refused: dict[str, str] = {}
        kept: dict[str, str] = {}
        for asset in catalogue.assets.values():
            why = self._fault(asset.file)
            if why is not None:
                (kept if asset.file in self._index.good else refused)[asset.id] = f"{asset.file}: {why}"
            if asset.id not in refused:
                sources[asset.id] = self._source(self._index.good[asset.file])
        self._index.write(self._folder)
        loaded = assemble(catalogue, sources, refused, kept)
        self._index.forget(self._files)
        self._index.write(self._folder)
        self._tidy({source.digest for source in sources.values()})
        return loaded

    def _fault(self, file: str) -> str | None:
        """What is wrong with a file, if anything; a good one becomes its last good."""
        seen = self._index.seen[file]
        if seen.digest is None:
            return seen.why
        if seen.digest in self._index.facts:
            self._index.good[file] = seen.digest
            return None
        return self._index.refused.get(seen.digest) or self._unclear[seen.digest]

    def _source(self, digest: str) -> Source:
        return Source.of(self._folder / digest, self._folder, digest, self._index.facts[digest])

    def _tidy(self, shown: set[str]) -> None:
        """Remove what neither this catalogue nor the one before it shows: another worker may still be at that one."""
        needed = {NAME, *shown, *self._shown, *self._index.good.values()}
        self._shown = shown
        for path in self._folder.iterdir() if self._owner else ():
            if path.name not in needed:
                path.unlink(missing_ok=True)

    # On the event loop.

    async def _take_in(self, file: str, readers: asyncio.Semaphore) -> None:
        async with readers:
            await asyncio.to_thread(self._read, file)

    def _unchecked(self) -> set[str]:
        index = self._index
        digests = {seen.digest for file, seen in index.seen.items() if file in self._files and seen.digest is not None}
        return digests - index.facts.keys() - index.refused.keys()

    async def _check(self, digest: str) -> None:
        try:
            self._index.facts[digest] = await self._pool.check(self._folder / digest, self._folder)
        except Rejected as error:
            self._index.refused[digest] = error.message.removeprefix(f"{self._folder / digest}: ")
        except Unavailable as error:
            self._unclear[digest] = error.message


def _look(path: Path) -> Look:
    """Zeros where there is nothing to look at."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
