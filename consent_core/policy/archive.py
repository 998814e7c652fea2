"""Files in a tar.gz whose bytes depend on nothing but the files, and the way back, which believes nothing.

unpack(pack(files)) == files
"""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Mapping

from consent_core.errors import Untrusted

MAX_PACKED_BYTES = 4_194_304
MAX_UNPACKED_BYTES = 33_554_432
MAX_FILES = 512
MODE = 0o644

_GZIP = 16 + zlib.MAX_WBITS
_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,100}")
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


def pack(files: Mapping[str, bytes]) -> bytes:
    """A tar.gz of `path -> content`, sorted by path, without times or owners."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size = len(files[path])
            entry.mode = MODE
            archive.addfile(entry, io.BytesIO(files[path]))
    return gzip.compress(raw.getvalue(), mtime=0)


def unpack(data: bytes) -> dict[str, bytes]:
    """The regular files of a tar.gz by path; nothing is written anywhere.

    Raises: Untrusted("bundle-too-large" | "bundle-archive" | "bundle-path" | "bundle-entry" | "bundle-duplicate").
    """
    raw = _inflate(data)
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            return _read(archive)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError) as error:
        raise Untrusted("bundle-archive", "not a tar archive") from error


def _inflate(data: bytes) -> bytes:
    if len(data) > MAX_PACKED_BYTES:
        raise Untrusted("bundle-too-large", f"expected at most {MAX_PACKED_BYTES} bytes, got {len(data)}")
    stream = zlib.decompressobj(_GZIP)
    try:
        raw = stream.decompress(data, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise Untrusted("bundle-archive", "not gzip") from error
    if stream.unconsumed_tail:
        raise Untrusted("bundle-too-large", f"unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    if not stream.eof or stream.unused_data:
        raise Untrusted("bundle-archive", "expected exactly one complete gzip stream")
    return raw


def _read(archive: tarfile.TarFile) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for entry in archive:
        _check_entry(entry)
        if entry.name in files:
            raise Untrusted("bundle-duplicate", f"{entry.name} is there twice")
        if len(files) == MAX_FILES:
            raise Untrusted("bundle-too-large", f"more than {MAX_FILES} files")
        files[entry.name] = _content(archive, entry)
    return files


def _check_entry(entry: tarfile.TarInfo) -> None:
    if entry.type not in _PLAIN or entry.pax_headers or entry.issparse():
        raise Untrusted("bundle-entry", f"{entry.name[:80]!r} is not a plain file")
    segments = entry.name.split("/")
    if any(segment in {".", ".."} or not _SEGMENT.fullmatch(segment) for segment in segments):
        raise Untrusted("bundle-path", f"{entry.name[:80]!r} is not a plain relative path")


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(entry)
    return stream.read() if stream else b""
