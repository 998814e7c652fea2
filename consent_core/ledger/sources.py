"""Where the public files of a ledger come from: a directory (its own, an archive, a copy) or a public listener."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import httpx

from consent_core.errors import Unavailable

TIMEOUT_S = 10.0
MAX_FILE_BYTES = 32_000_000  # a full bundle of the longest entries, twice
NOT_FOUND = 404


class Source(Protocol):
    """Public files by path, such as `checkpoint` or `tile/0/000`."""

    def fetch(self, path: str) -> bytes | None:
        """The file; None if there is none of that name. Raises: Unavailable("ledger-unreachable")."""
        ...


class DirectorySource:
    """Files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, path: str) -> bytes | None:
        """The file's content."""
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                return (self._root / path).read_bytes()
        except OSError as error:
            raise Unavailable("ledger-unreachable", f"cannot read {path}: {error.strerror}") from error
        return None


class HttpSource:
    """A public listener; the client's base URL ends before `checkpoint`."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def fetch(self, path: str) -> bytes | None:
        """The body of the answer."""
        try:
            response = self._client.get(path)
        except httpx.HTTPError as error:
            raise Unavailable("ledger-unreachable", f"{self._client.base_url}: {error}") from error
        if response.status_code == NOT_FOUND:
            return None
        if not response.is_success or len(response.content) > MAX_FILE_BYTES:
            raise Unavailable("ledger-unreachable", f"{path}: status {response.status_code}")
        return response.content


@contextmanager
def source_of(place: str) -> Iterator[Source]:
    """`http(s)://host:port` of a control plane, `s3://bucket/prefix`, or a directory."""
    if place.startswith("s3://"):
        from consent_core.ledger.s3_source import S3Source  # boto3 costs 0.3 s: only who reads a bucket pays

        yield S3Source.open(place)
        return
    if not place.startswith(("http://", "https://")):
        yield DirectorySource(Path(place))
        return
    url = place.rstrip("/").removesuffix("/ledger") + "/ledger/"
    with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
        yield HttpSource(client)
