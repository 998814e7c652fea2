"""libvips, set up once per process: few formats in, one thread per image, no cache of operations.

Source of the settings: three image servers agree on them (`docs/images.md`). Import `pyvips` from here, never directly,
so that no image is ever opened before the loaders are narrowed down.
"""

import ctypes

import pyvips

LOADERS = ("VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadWebp", "VipsForeignLoadHeif")
MALLOC_ARENAS = 2
_M_ARENA_MAX = -8  # mallopt(3)


def _narrow_loaders() -> None:
    """Only what is listed may open bytes: SVG, PDF, TIFF and the rest never reach their decoders."""
    pyvips.block_untrusted_set(True)  # also covers operations that libvips may come to distrust
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in LOADERS:
        pyvips.operation_block_set(loader, False)


def _few_arenas() -> None:
    """Without this glibc keeps an arena per thread, and memory grows with the number of sizes rendered."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # not part of musl
        mallopt(_M_ARENA_MAX, MALLOC_ARENAS)


_few_arenas()
_narrow_loaders()
pyvips.cache_set_max(0)
pyvips.concurrency_set(1)

Image = pyvips.Image
VipsError = pyvips.Error
VERSION = ".".join(str(pyvips.version(part)) for part in range(3))
