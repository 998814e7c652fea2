"""Whom this POP trusts: the trust file it was started with, read again when the operator replaces it.

So the keys of log and bundle can be rotated while POPs run: publish the new file to the POPs, then sign with the new
key. A file that cannot be read changes nothing.
"""

from pathlib import Path

from consent_core.errors import Unavailable
from consent_core.trust.trust_file import TrustFile


class Trusted:
    """`file`: the trust in force. `_stamp`: of the bytes on disk that were last read."""

    def __init__(self, file: TrustFile, path: Path | None) -> None:
        self.file = file
        self._path = path
        self._stamp: tuple[int, int, int] | None = None

    async def look(self) -> bool:
        """Take over the file if it was replaced; whether it was.

        Raises: Untrusted("trust-file"), Unavailable("trust-file-missing"): the trust in force stays.
        """
        if self._path is None or (stamp := _stamp(self._path)) == self._stamp:
            return False
        file = TrustFile.load(self._path)
        self._stamp = stamp
        changed, self.file = file != self.file, file
        return changed

    def reload(self) -> None:
        """Take over the file as it is now, replaced or not. Raises: as `look`."""
        if self._path is not None:
            self.file = TrustFile.load(self._path)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise Unavailable("trust-file-missing", f"cannot read {path.name}: {error.strerror}") from error
    return status.st_ino, status.st_mtime_ns, status.st_size
