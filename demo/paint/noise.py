"""Smooth noise: seeded, the same everywhere."""

import numpy as np

from demo.paint.canvas import Array

LATTICE = 256


class Noise:
    """Value noise on a lattice that repeats every 256 cells, with its slope (Quilez, "value noise derivatives")."""

    def __init__(self, seed: int) -> None:
        self._lattice = np.random.default_rng(seed).random((LATTICE, LATTICE), dtype=np.float32)

    def at(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Value (0 to 1) and its slopes along x and y."""
        column, row = np.floor(x), np.floor(y)
        u, v = x - column, y - row
        left, top = column.astype(np.int64) & (LATTICE - 1), row.astype(np.int64) & (LATTICE - 1)
        flat = self._lattice.ravel()
        right, bottom = (left + 1) & (LATTICE - 1), (top + 1) & (LATTICE - 1)
        top *= LATTICE
        bottom *= LATTICE
        a, b, c, d = flat[top + left], flat[top + right], flat[bottom + left], flat[bottom + right]
        fade_u, fade_v = u * u * u * (u * (u * 6 - 15) + 10), v * v * v * (v * (v * 6 - 15) + 10)
        slope_u, slope_v = 30 * u * u * (u * (u - 2) + 1), 30 * v * v * (v * (v - 2) + 1)
        across, down, twist = b - a, c - a, a - b - c + d
        return (
            a + across * fade_u + down * fade_v + twist * fade_u * fade_v,
            (across + twist * fade_v) * slope_u,
            (down + twist * fade_u) * slope_v,
        )

    def clouds(self, x: Array, y: Array, octaves: int = 5, gain: float = 0.5) -> Array:
        """Fractal noise, 0 to 1 around 0.5."""
        total, weight, sum_of_weights = np.zeros(np.broadcast(x, y).shape, np.float32), 1.0, 0.0
        for octave in range(octaves):
            total += weight * self.at(x + 17 * octave, y + 31 * octave)[0]
            sum_of_weights += weight
            x, y = 1.6 * x - 1.2 * y, 1.2 * x + 1.6 * y
            weight *= gain
        return total / sum_of_weights

    def mountains(self, x: Array, y: Array, octaves: int = 9) -> Array:
        """Fractal noise that is rough on ridges and smooth on slopes, as eroded rock is (Quilez, "elevated")."""
        total, weight = np.zeros(np.broadcast(x, y).shape, np.float32), 1.0
        slope_x, slope_y = np.zeros_like(total), np.zeros_like(total)
        for _ in range(octaves):
            value, dx, dy = self.at(x, y)
            slope_x += dx
            slope_y += dy
            total += weight * value / (1 + slope_x**2 + slope_y**2)
            x, y = 1.6 * x - 1.2 * y, 1.2 * x + 1.6 * y
            weight *= 0.5
        return total
