"""A file's bytes in memory that cannot be changed any more, in large pages.

Native code is mapped from here, and each instance maps its first memory from it. The kernel hands out anonymous files
in pages of 4 KiB; collected into pages of 2 MiB they take a third off what an instance costs (`docs/sandbox.md`).
"""

import ctypes
import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
LARGE_PAGE = 2 * 1024 * 1024
MADV_COLLAPSE = 25  # Linux 6.1; not in Python's mmap module

_PROT_NONE, _MAP_FIXED = 0, 0x10
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
_LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_LIBC.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_FAILED = ctypes.c_void_p(-1).value


@contextmanager
def sealed_copy(source: int, name: str, most: int) -> Iterator[int | None]:
    """A descriptor of the sealed copy of a file of fewer than `most` bytes; None of a larger one."""
    sealed = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = most
        while left and (sent := os.sendfile(sealed, source, None, left)):
            left -= sent
        if left:
            collect_pages(sealed)
            fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, SEALS)
        yield sealed if left else None
    finally:
        os.close(sealed)


def collect_pages(descriptor: int) -> bool:
    """Put the file into large pages, as far as the kernel can; whether it could. It works as well without."""
    size = os.fstat(descriptor).st_size
    room = size + 2 * LARGE_PAGE
    base = _LIBC.mmap(None, room, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if not size or base == _FAILED:
        return False
    place = -(-base // LARGE_PAGE) * LARGE_PAGE  # a large page begins at a multiple of itself
    try:
        mapped = _LIBC.mmap(place, size, mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED, descriptor, 0)
        return bool(mapped != _FAILED and _LIBC.madvise(place, size, MADV_COLLAPSE) == 0)
    finally:
        _LIBC.munmap(base, room)
