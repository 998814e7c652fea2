"""Paint the shop's pictures: `python -m demo.art [DIRECTORY]`, by default `build/art`.

Each is a 3000 × 2000 JPEG, the same on every run. A manifest beside them names what they were painted from; while it
still matches, a second run changes nothing.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyvips

from consent_core.trust.files import locked
from demo.paint import landscapes, posters, silhouettes
from demo.paint.canvas import Array

PICTURES: dict[str, Callable[[], Array]] = {
    "quiet-valley": landscapes.quiet_valley,
    "alpine-dawn": landscapes.alpine_dawn,
    "coast-sunset": landscapes.coast_sunset,
    "forest-mist": silhouettes.forest_mist,
    "city-night": silhouettes.city_night,
    "aurora-snow": landscapes.aurora_snow,
    "desert-dusk": landscapes.desert_dusk,
    "banner-calm": posters.banner_calm,
    "banner-tent": posters.tent,
    "banner-boots": posters.boots,
    "banner-kayak": posters.kayak,
    "banner-bike": posters.bike,
    "banner-skis": posters.skis,
    "tile-calm": posters.tile_calm,
    "tile-compass": posters.tile_compass,
    "tile-moon": posters.tile_moon,
    "tile-sunburst": posters.tile_sunburst,
}
MANIFEST = "manifest.json"
ENLARGE = 2  # painted at 1500 × 1000
GRAIN = 1.6  # of 255; also hides the steps of smooth gradients
JPEG_QUALITY = 88
PROCESSES = 2

Progress = Callable[[str], None]


def make_art(out: Path, progress: Progress = lambda _: None) -> list[str]:
    """Paint what is not there yet and return the names painted. `progress` is told each name as it is done.

    Two runs at once paint once: the second waits and finds all of it.
    """
    made_from = _made_from()
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        return [] if _is_complete(out, made_from) else _paint_all(out, made_from, progress)


def _paint_all(out: Path, made_from: str, progress: Progress) -> list[str]:
    (out / MANIFEST).unlink(missing_ok=True)
    digests = {}
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:  # libvips does not survive a fork
        for name, digest in zip(PICTURES, pool.map(paint, PICTURES, [out] * len(PICTURES)), strict=True):
            digests[name] = digest
            progress(name)
    _write(out / MANIFEST, json.dumps({"made_from": made_from, "sha256": digests}, indent=1).encode())
    return list(digests)


def paint(name: str, out: Path) -> str:
    """Paint one picture into a directory and return the SHA-256 of its file."""
    data = develop(PICTURES[name](), seed=len(name))
    _write(out / f"{name}.jpg", data)
    return hashlib.sha256(data).hexdigest()


def develop(picture: Array, seed: int) -> bytes:
    """A JPEG from floats: enlarged, with grain."""
    small = pyvips.Image.new_from_array(np.ascontiguousarray(picture, np.float32) * 255)
    large = small.resize(ENLARGE, kernel="lanczos3")
    grain = np.random.default_rng(seed).normal(0, GRAIN, (large.height, large.width, 1)).astype(np.float32)
    image = (large + pyvips.Image.new_from_array(grain) + 0.5).cast("uchar").copy(interpretation="srgb")
    encoded: bytes = image.jpegsave_buffer(Q=JPEG_QUALITY, keep="none")
    return encoded


def _made_from() -> str:
    """One digest over all that decides the pictures: this program and the libraries it calculates with."""
    here = Path(__file__).resolve()
    digest = hashlib.sha256(f"numpy {np.__version__} pyvips {pyvips.__version__}".encode())
    for source in (
        here,
        *sorted((here.parent / "paint").rglob("*.py")),
        *sorted((here.parent / "paint").rglob("*.svg")),
    ):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _is_complete(out: Path, made_from: str) -> bool:
    try:
        manifest = json.loads((out / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    if manifest.get("made_from") != made_from or manifest.get("sha256", {}).keys() != PICTURES.keys():
        return False
    return all(_digest(out / f"{name}.jpg") == digest for name, digest in manifest["sha256"].items())


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _write(path: Path, data: bytes) -> None:
    """All of a file or nothing of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def main() -> None:
    """Paint into the directory given, and say what was done."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/art")
    painted = make_art(out, lambda name: _say(f"painted {name}"))
    _say(f"{out}: {len(painted)} painted, {len(PICTURES) - len(painted)} already there")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
