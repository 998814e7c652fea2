"""What the noise of learning costs: our sampler beside OpenDP's in one run, and one week of twenty places.

`noise` draws the 4,128 numbers of one measurement; `extra.ratio` is OpenDP's time per number over ours.
`week` clips, rounds, sums and noises twenty places of 1,000 visitors each.
"""

import math
import os
from time import process_time
from typing import Any

import numpy as np
import opendp.prelude as dp
from pytest_benchmark.fixture import BenchmarkFixture

from consent_core.privacy.clipping import clipped
from consent_core.privacy.discrete_gaussian import noise
from consent_core.privacy.grid import to_grid, total

SIGMA2, LENGTH, CLIP = 76_125_335, 4_128, 0.4
OF_OPENDP = 2_000  # numbers drawn by OpenDP in a comparison


def opendp_sampler() -> Any:
    """OpenDP's exact discrete Gaussian of our scale, over a vector of zeros."""
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    return dp.m.make_gaussian(*space, scale=math.sqrt(SIGMA2))


def seconds_each(draw: Any, count: int) -> float:
    begin = process_time()
    draw()
    return (process_time() - begin) / count


def test_noise_beside_opendp(benchmark: BenchmarkFixture) -> None:
    sampler = opendp_sampler()
    pairs = [
        (
            seconds_each(lambda: sampler([0] * OF_OPENDP), OF_OPENDP),
            seconds_each(lambda: noise(100_000, SIGMA2, os.urandom), 100_000),
        )
        for _ in range(5)
    ]
    benchmark.extra_info["ratio"] = float(np.median([theirs / ours for theirs, ours in pairs]))
    benchmark(noise, LENGTH, SIGMA2, os.urandom)


def test_week_of_twenty_places(benchmark: BenchmarkFixture) -> None:
    vectors = np.random.default_rng(1).normal(0, 0.02, (1_000, LENGTH))

    def week() -> Any:
        for _ in range(20):
            contributions = [to_grid(clipped(vector, CLIP), CLIP) for vector in vectors]
            y = total([q for q in contributions if q is not None], LENGTH) + noise(LENGTH, SIGMA2, os.urandom)
        return y

    benchmark.pedantic(week, rounds=3)
