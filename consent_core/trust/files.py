"""Files that a crash leaves either old or new, secrets, and a lock between processes that share a directory."""

import contextlib
import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from consent_core.errors import Unavailable

PRIVATE = 0o600
PUBLIC = 0o644
SECRET_BYTES = 32


def write_atomically(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Replace `path` by `data`: once this returns it is on disk, before that the old content stands."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename, creation or deletion in `directory` survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold `directory` against other processes and threads; the kernel releases it if the holder dies."""
    with (directory / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load_secret(path: Path) -> bytes:
    """32 random bytes kept in a file that only this user may read; made at the first start.

    The file appears complete or not at all. Raises: Unavailable("secret-malformed") if something else is in it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(f".{os.getpid()}.tmp")
        staged.touch(mode=0o600)
        staged.write_bytes(secrets.token_bytes(SECRET_BYTES))
        with contextlib.suppress(FileExistsError):  # another process of this deployment was first: its secret holds
            path.hardlink_to(staged)
        staged.unlink()
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        found = f"{path}: expected {SECRET_BYTES} bytes, got {len(secret)}"
        raise Unavailable("secret-malformed", f"{found}; restore it, or put it aside: the next start makes a new one")
    return secret
