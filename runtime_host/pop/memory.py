"""What a POP's processes take of the machine's memory: each page counted once, shared ones by their share (PSS)."""

import os
from collections.abc import Iterable
from pathlib import Path


def pss_bytes(children: Iterable[int] = ()) -> int:
    """Of this process and of its children. A child that has ended takes none; 0 where the kernel does not say."""
    return sum(_pss(pid) for pid in (os.getpid(), *children))


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (OSError, ValueError):
        return 0
    return sum(1_024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
