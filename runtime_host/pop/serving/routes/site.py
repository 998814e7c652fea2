"""The static site: files below one directory, and the browser module below `/sdk/`. Nothing else is reachable.

Trust: the directories are trusted to hold what the site's owner published, and nothing else. A path is resolved first
and must then still be below its directory, so neither its spelling nor a link leads out.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from consent_core.errors import Rejected
from consent_core.http.answers import (
    INERT,
    PAGE,
    SCRIPT,
    Answer,
    Header,
    not_modified,
)
from consent_core.http.conditions import holds, takes_gzip
from runtime_host.pop.serving.routing import Call

MAX_FILE_BYTES = 16 * 2**20
INDEX = "index.html"
_REVALIDATE: Header = (b"cache-control", b"no-cache")
_VARY: Header = (b"vary", b"Accept-Encoding")
_GZIP: Header = (b"content-encoding", b"gzip")
_HARDENED = {"text/html": PAGE, "text/javascript": SCRIPT, "application/javascript": SCRIPT}
_TEXT = ("text/", "application/javascript", "application/json", "image/svg+xml")


@dataclass(frozen=True, slots=True)
class _Form:
    """A file's bytes as they are sent, plain or compressed."""

    headers: tuple[Header, ...]
    etag: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was when it was read; another size or time: it changed. `packed`: where that is smaller."""

    stamp: tuple[int, int]
    plain: _Form
    packed: _Form | None


class Site:
    """`roots`: URL path prefix (`/`, `/sdk/`) to directory; the longest prefix that fits is looked into."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self._roots = sorted(
            ((prefix, root.resolve()) for prefix, root in roots.items()), key=lambda item: -len(item[0])
        )
        self._files: dict[Path, _File] = {}

    async def get(self, call: Call) -> Answer:
        """One file. Raises: Rejected("route-unknown", 404) for anything that is not a published file."""
        try:
            file = self._load(self._resolve(call.scope["path"]))
        except (
            OSError,
            RuntimeError,
        ) as error:  # too long a name, a loop of links, a file just gone
            raise _nothing() from error
        packed = takes_gzip(call.headers.get(b"accept-encoding", b""))
        form = file.packed if file.packed is not None and packed else file.plain
        answer = Answer(200, form.headers, form.body)
        known = holds(call.headers.get(b"if-none-match"), form.etag)
        return not_modified(answer.headers) if known else answer

    def _resolve(self, path: str) -> Path:
        """The published file a URL path names. Links that lead out, hidden files and odd characters name none."""
        for prefix, root in self._roots:
            if not path.startswith(prefix):
                continue
            parts = path[len(prefix) :].split("/")
            if parts[-1] == "":
                parts[-1] = INDEX
            if not all(part.isprintable() and not part.startswith(".") and "\\" not in part for part in parts):
                break
            if "" in parts:
                break
            found = root.joinpath(*parts).resolve()
            if found.is_relative_to(root) and found.is_file():
                return found
        raise _nothing()

    def _load(self, path: Path) -> _File:
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        known = self._files.get(path)
        if known is not None and known.stamp == stamp:
            return known
        if status.st_size > MAX_FILE_BYTES:
            raise Rejected("route-unknown", "this file is too large to be served", status=404)
        body = path.read_bytes()
        file = self._files[path] = _read(path.name, stamp, body)
        return file


def _nothing() -> Rejected:
    return Rejected("route-unknown", "there is nothing at this address", status=404)


def _read(name: str, stamp: tuple[int, int], body: bytes) -> _File:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    is_text = kind.startswith(_TEXT)
    shown = f"{kind}; charset=utf-8" if is_text else kind
    common = ((b"content-type", shown.encode("ascii")), _REVALIDATE, *_HARDENED.get(kind, INERT))
    if not is_text:
        return _File(stamp, _form(body, common), None)
    plain, packed = _form(body, (*common, _VARY)), gzip.compress(body, mtime=0)
    return _File(stamp, plain, _form(packed, (*common, _VARY, _GZIP)) if len(packed) < len(body) else None)


def _form(body: bytes, headers: tuple[Header, ...]) -> _Form:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    length = (b"content-length", str(len(body)).encode("ascii"))
    return _Form((*headers, length, (b"etag", etag.encode("ascii"))), etag, body)
