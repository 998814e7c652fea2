"""Exact noise: whole numbers n with probability proportional to exp(-n²/2σ²), from random bytes.

    z = noise(4128, 76_125_335, os.urandom)

Algorithms 1 to 3 of Canonne, Kamath, Steinke 2020 (arXiv:2004.00010), on whole arrays. Each comparison "uniform <
exp(-x)" takes 64 random bits and the float64 value of exp(-x); only where the two are nearer than 2^-42 do 256 further
bits and exact integers decide. So every draw is exact, given ideal random bytes and an `exp` that is right to 2^-43
(`require_exact_exp` checks the machine's). Noise from floats alone is not: its gaps betray the sum (Mironov 2012).
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

RandomBytes = Callable[[int], bytes]
Exact = Callable[[int], Fraction]  # x of one entry, exactly
Words = NDArray[np.uint64]

MARGIN: Final = 2.0**-42  # far above the error of u, of x (at most 2^-50 of it, and x·exp(-x) < 1/2) and of exp
MORE_BITS: Final = 256
MAX_SIGMA2: Final = 2**50  # so that every product below fits int64


def noise(count: int, sigma2: int, random_bytes: RandomBytes, margin: float = MARGIN) -> NDArray[np.int64]:
    """`count` independent draws of parameter `sigma2`. A `margin` of 1 lets integers decide everything (for tests).

    Raises: ValueError for a `sigma2` outside 1 to 2^50.
    """
    if not 1 <= sigma2 <= MAX_SIGMA2:
        raise ValueError(f"sigma2 is 1 to 2^50, not {sigma2}")
    require_exact_exp()
    coins = _Coins(random_bytes, margin)
    drawn = np.zeros(0, dtype=np.int64)
    while len(drawn) < count:
        drawn = np.concatenate(
            (drawn, _accepted(_laplace((count - len(drawn)) * 5 // 2 + 64, sigma2, coins), sigma2, coins))
        )
    return drawn[:count]


def _scale(sigma2: int) -> int:
    """t = floor(σ) + 1, the scale of the proposals (Algorithm 3)."""
    return math.isqrt(sigma2) + 1


def _laplace(tries: int, sigma2: int, coins: "_Coins") -> NDArray[np.int64]:
    """Proposals: discrete Laplace of scale t, the refused ones left out (Algorithm 2)."""
    t = _scale(sigma2)
    u = coins.below(t, tries)
    u = u[coins.exp_minus(u / t, lambda i: Fraction(int(u[i]), t))]
    size = u + t * coins.geometric(len(u))
    negative = coins.fair(len(u))
    kept = ~(negative & (size == 0))  # zero has one sign
    signed: NDArray[np.int64] = np.where(negative, -size, size)[kept]
    return signed


def _accepted(y: NDArray[np.int64], sigma2: int, coins: "_Coins") -> NDArray[np.int64]:
    """Those proposals that pass with probability exp(-(|y| - σ²/t)²/2σ²) (Algorithm 3)."""
    t = _scale(sigma2)
    off = np.abs(y) * t - sigma2  # t times the distance, exact
    x = (off.astype(np.float64) / t) ** 2 / (2.0 * sigma2)
    return y[coins.exp_minus(x, lambda i: Fraction(int(off[i]) ** 2, 2 * sigma2 * t * t))]


class _Coins:
    """Uniform numbers and biased coins over one source of random bytes."""

    def __init__(self, random_bytes: RandomBytes, margin: float) -> None:
        self._random_bytes, self._margin = random_bytes, margin

    def words(self, count: int) -> Words:
        """So many uniform numbers of 64 bits."""
        return np.frombuffer(self._random_bytes(8 * count), dtype=np.uint64)

    def fair(self, count: int) -> NDArray[np.bool_]:
        """Fair coins."""
        return (np.frombuffer(self._random_bytes(count), dtype=np.uint8) & 1).astype(np.bool_)

    def below(self, bound: int, count: int) -> NDArray[np.int64]:
        """Uniform whole numbers of 0 to `bound` - 1: words beyond the last whole multiple are drawn again."""
        drawn, last = self.words(count).copy(), np.uint64(2**64 // bound * bound - 1)
        while len(over := np.nonzero(drawn > last)[0]):
            drawn[over] = self.words(len(over))
        return (drawn % np.uint64(bound)).astype(np.int64)

    def geometric(self, count: int) -> NDArray[np.int64]:
        """How often a coin of exp(-1) falls on yes before its first no."""
        runs, alive = np.zeros(count, dtype=np.int64), np.arange(count)
        while len(alive):
            alive = alive[self.exp_minus(np.ones(len(alive)), lambda _: Fraction(1))]
            runs[alive] += 1
        return runs

    def exp_minus(self, x: NDArray[np.float64], exact: Exact) -> NDArray[np.bool_]:
        """Coins that say yes with probability exp(-x); `exact(i)` is the i-th x (stands for Algorithm 1)."""
        words = self.words(len(x))
        uniform, bound = words.astype(np.float64) * 2.0**-64, np.exp(-x)
        yes = uniform < bound
        for i in np.nonzero(np.abs(uniform - bound) < self._margin)[0]:
            yes[i] = self._decided(int(words[i]), exact(int(i)))
        return yes

    def _decided(self, uniform: int, x: Fraction) -> bool:
        """The same comparison with as many further bits as it takes."""
        bits = 64
        while True:
            uniform = uniform << MORE_BITS | int.from_bytes(self._random_bytes(MORE_BITS // 8))
            bits += MORE_BITS
            low, high = exp_bounds(x, bits)
            if uniform + 1 <= low:
                return True
            if uniform >= high:
                return False


def exp_bounds(x: Fraction, bits: int) -> tuple[int, int]:
    """Whole numbers around 2^bits · exp(-x): the alternating series at x/k in [0, 1], to the k-th power."""
    k = max(1, math.ceil(x))
    y, scale = x / k, bits + 64
    low, high = _series(y, scale)
    return low**k >> (scale * (k - 1) + 64), -(-(high**k) >> (scale * (k - 1) + 64))


def _series(y: Fraction, scale: int) -> tuple[int, int]:
    """Bounds of 2^scale · exp(-y) = 1 - y/1·(1 - y/2·(1 - …)), 0 <= y <= 1: what is left out lies between 0 and 1."""
    one = 1 << scale
    low, high = 0, one
    for n in range(scale // 4, 0, -1):
        low, high = one + (-high * y.numerator // (y.denominator * n)), one - low * y.numerator // (y.denominator * n)
    return low, high


@cache
def require_exact_exp() -> None:
    """Raises: RuntimeError where this machine's vectorised exp is not right to 2^-43."""
    points = [Fraction(n, 7) for n in range(0, 400, 3)]
    computed = np.exp(-np.array([float(x) for x in points]))
    for x, value in zip(points, computed, strict=True):
        low, high = exp_bounds(x, 96)
        if (
            not Fraction(low, 2**96) - Fraction(1, 2**43)
            < Fraction(float(value))
            < Fraction(high, 2**96) + Fraction(1, 2**43)
        ):
            raise RuntimeError(f"exp(-{float(x)}) is wrong on this machine")
