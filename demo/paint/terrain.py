"""Ground seen in perspective: rays go out over a height field, the nearest height that reaches a row is what is seen.

A column's horizon only rises with distance, so the first distance whose running maximum reaches a row is found by
one binary search per column. All of it is arrays of (distances, columns).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from demo.paint.canvas import Array

Heights = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class View:
    """A camera at (0, `eye`, 0) looking along z.

    `horizon`: its row as a part of the height. `field`: tangent of half the angle it sees across.
    """

    width: int
    height: int
    eye: float
    horizon: float
    field: float = 0.6
    near: float = 0.6
    far: float = 60.0
    steps: int = 700


@dataclass(frozen=True)
class Ground:
    """What the rays met: per (distance, column) its place, height and slopes; per pixel where to look it up."""

    x: Array
    z: Array
    y: Array
    slope_x: Array
    slope_z: Array
    index: Array  # per pixel, fractional index along distances; `steps` where there is only sky
    seen: Array  # per pixel, 1 where ground

    def pick(self, values: Array) -> Array:
        """Values per (distance, column[, band]) as pixels see them."""
        lower = np.clip(self.index.astype(np.int64), 0, len(values) - 2)
        part = np.clip(self.index - lower, 0, 1).astype(np.float32)
        columns = np.arange(values.shape[1])[None, :]
        if values.ndim == 3:
            part = part[..., None]
        return np.asarray(values[lower, columns] * (1 - part) + values[lower + 1, columns] * part)


def look(view: View, heights: Heights) -> Ground:
    """Cast one ray per column."""
    distance = np.geomspace(view.near, view.far, view.steps).astype(np.float32)[:, None]
    bearing = np.linspace(-view.field, view.field, view.width, dtype=np.float32)[None, :]
    x = distance * bearing
    z = np.repeat(distance, view.width, axis=1)
    y = heights(x, z).astype(np.float32)
    slope_x, slope_z = _slopes(x, z, y, bearing)
    index = _first_reaching(view, (y - view.eye) / z)
    return Ground(x, z, y, slope_x, slope_z, index, (index < view.steps - 1).astype(np.float32))


def _slopes(x: Array, z: Array, y: Array, bearing: Array) -> tuple[Array, Array]:
    """Chain rule: along a row only x changes; along a ray x changes by `bearing` per unit of z."""
    slope_x = np.gradient(y, axis=1) / np.gradient(x, axis=1)
    slope_z = np.gradient(y, axis=0) / np.gradient(z, axis=0) - slope_x * bearing
    return slope_x, slope_z


def _first_reaching(view: View, rise: Array) -> Array:
    """Per pixel the fractional distance index at which the ground first covers it."""
    focal = view.width / 2 / view.field
    wanted = (view.horizon * view.height - np.arange(view.height, dtype=np.float32)) / focal
    highest = np.maximum.accumulate(rise, axis=0)
    index = np.empty((view.height, view.width), np.float32)
    for column in range(view.width):
        first = np.searchsorted(highest[:, column], wanted)
        last = np.clip(first, 1, view.steps - 1)
        low, high = rise[last - 1, column], rise[last, column]
        part = np.clip((wanted - low) / np.maximum(high - low, 1e-9), 0, 1)
        index[:, column] = np.where(first >= view.steps, view.steps, last - 1 + part)
    return index


def lit(ground: Ground, towards: tuple[float, float, float]) -> Array:
    """How much light each place gets from a direction (x right, y up, z away), 0 to 1."""
    sun = np.array(towards, np.float32) / np.linalg.norm(towards)
    length = np.sqrt(1 + ground.slope_x**2 + ground.slope_z**2)
    facing = (-ground.slope_x * sun[0] + sun[1] - ground.slope_z * sun[2]) / length
    return np.asarray(np.clip(facing, 0, 1), np.float32)


def steepness(ground: Ground) -> Array:
    """0 for level ground, towards 1 for a wall."""
    return np.asarray(1 - 1 / np.sqrt(1 + ground.slope_x**2 + ground.slope_z**2), np.float32)


def haze(distance: Array, reach: float) -> Array:
    """How much of a colour the air has replaced: 0 near, 1 far beyond `reach`."""
    return np.asarray(1 - np.exp(-((distance / reach) ** 1.5)), np.float32)
