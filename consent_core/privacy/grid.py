"""Whole numbers from the clip on: their sum is the same in any order, on any machine, and has no NaN.

    q = to_grid(clipped(vector, clip), clip)     # int64; None: drop this contribution and go on
    x = total([q, ...])

Source: float sums break sensitivity (Casacuberta et al. 2022, arXiv:2207.10635); rounding toward zero cannot lengthen.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from consent_core.privacy.clipping import Floats

GRID: Final = 4096  # grid steps of a contribution of length C
SENSITIVITY2: Final = GRID**2  # the most that one contribution's squared length is
Grid = NDArray[np.int64]


def to_grid(vector: Floats, clip: float) -> Grid | None:
    """A clipped vector in steps of clip/4096, rounded toward zero; None if it is still longer than 4096 steps.

    The second cannot happen to what `clipped` returns. It is checked all the same, because the whole promise stands on
    it, and costs that one contribution and no other. The check is exact: whole floats whose squares add up to at most
    2^24 do so without rounding, and a sum that rounds, or is no number, is larger and dropped.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.trunc(vector * (GRID / clip))
        squares = float(steps @ steps)
    return steps.astype(np.int64) if squares <= SENSITIVITY2 else None


def total(contributions: Iterable[Grid], length: int) -> Grid:
    """The sum. Exact up to 2^51 contributions, since an entry is at most 2^12."""
    x = np.zeros(length, dtype=np.int64)
    for q in contributions:
        x += q
    return x
