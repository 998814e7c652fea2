"""Limits the length of one visitor's week vector, so that no visitor moves the sum by more than C.

    clipped(vector, 0.4)       # its model part is at most sqrt(0.9) C long, its figures at most sqrt(0.1) C

Both parts together are at most C long, because 0.9 + 0.1 = 1: one clip, one noise, one budget for all of it.
Source: Abadi et al. 2016, Algorithm 1 (arXiv:1607.00133), for each of two orthogonal parts.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FIGURES: Final = 32  # counts of showings and rewards at the vector's end
MODEL_SHARE: Final = 0.9  # of the squared length
Floats = NDArray[np.float64]


def clipped(vector: Floats, clip: float, figures: int = FIGURES) -> Floats:
    """The vector with both parts shortened to their share of `clip`; what is short already stays as it is."""
    model, counts = vector[: len(vector) - figures], vector[len(vector) - figures :]
    parts = (_shortened(model, MODEL_SHARE**0.5 * clip), _shortened(counts, (1 - MODEL_SHARE) ** 0.5 * clip))
    return np.concatenate(parts)


def _shortened(part: Floats, length: float) -> Floats:
    """A norm too large for a float is infinite, and leaves nothing of the part."""
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(part))
    return part if norm <= length else part * (length / norm)
