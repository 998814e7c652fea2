"""How much room a folder has. A full disk is seen before a store meets it."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

ROOM_BYTES = 32 * 2**20  # the audit journal twice, a day of consent changes, and what SQLite writes beside its file

Free = Callable[[Path], int]


def free_bytes(path: Path) -> int:
    """What this user may still write there."""
    seen = os.statvfs(path)
    return seen.f_bavail * seen.f_frsize


def disk_faults(folders: Iterable[Path], free: Free = free_bytes) -> dict[str, str]:
    """`disk-full` where a folder has less than `ROOM_BYTES`. A folder that is not there says nothing."""
    for folder in folders:
        try:
            left = free(folder)
        except OSError:
            continue
        if left < ROOM_BYTES:
            return {"disk-full": f"{left // 2**20} MiB left for {folder.name}"}
    return {}
