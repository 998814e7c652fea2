"""Files that somebody else may replace at any moment: regular ones only, within their folder, read up to a limit.

A FIFO would hold a thread for ever, a device never ends, a link leads elsewhere. What is opened is looked at through
its own descriptor, so that a replacement between a look and a read changes nothing.
"""

import errno
import os
import stat
from pathlib import Path

MAX_SOURCE_BYTES = 32_000_000
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a FIFO without a writer opens, and is refused


def read_regular(path: Path, folder: Path, limit: int = MAX_SOURCE_BYTES) -> bytes:
    """The bytes of a regular file below `folder`. A link is followed as long as it leads to such a file.

    Raises: OSError, also for what is no regular file (EINVAL), leads out of the folder (EXDEV) or is larger than
    `limit` bytes (EFBIG).
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise OSError(errno.EXDEV, "leads out of its folder")
    with os.fdopen(os.open(path, _FLAGS), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"expected at most {limit} bytes, got {status.st_size}")
        return _read(file.fileno(), limit)


def _read(fd: int, limit: int) -> bytes:
    data = bytearray()
    while chunk := os.read(fd, 1 << 20):
        data += chunk
        if len(data) > limit:  # it grew while it was read
            raise OSError(errno.EFBIG, f"expected at most {limit} bytes")
    return bytes(data)
