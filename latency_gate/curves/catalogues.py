"""The points of the two curves about the catalogue: how a POP loads it, and what a request looks up."""

import asyncio
import json
from pathlib import Path

from latency_gate.curves.stopwatch import Held, seconds_of, timed
from runtime_host.pop.images.gallery import Gallery, Originals
from runtime_host.pop.images.libvips import Image
from runtime_host.pop.images.pools import RenderThreads
from runtime_host.pop.serving.stock import Stock

WIDTH, HEIGHT = 320, 180
FEW = 20  # pictures of a catalogue of many slots
OFFERED = 10  # candidates of a slot
LOOK = 'overlay = "bottom-left"\nbackground = "#7fa6b8"'


def slots(size: int, place: Path) -> tuple[dict[str, float], float]:
    """So many slots over the same pictures."""
    return _measured(place, FEW, size)


def assets(size: int, place: Path) -> tuple[dict[str, float], float]:
    """So many pictures, ten to a slot."""
    return _measured(place, size, size // OFFERED)


def _measured(place: Path, pictures: int, places: int) -> tuple[dict[str, float], float]:
    for number in range(pictures):
        colour = Image.black(WIDTH, HEIGHT, bands=3).linear(1, [number % 256, number // 256, 128])
        colour.cast("uchar").write_to_file(str(place / f"{number}.jpg"))
    (place / "catalogue.toml").write_text(_written(pictures, places))
    held = Held()
    first, again = seconds_of(lambda: _load(place)), seconds_of(lambda: _load(place))
    stock = _load(place)
    finding = timed(lambda number: [stock.places[f"slot-{(number + n) % places}"] for n in range(100)])
    return {"a first load": first, "a load when all is known": again, "100 slots found": finding}, held.mib()


def _load(place: Path) -> Stock:
    async def load() -> Stock:
        pool = RenderThreads()
        gallery = Gallery(place / "held", Originals(place / "catalogue.toml", place), pool)
        try:
            return Stock.of(await gallery.load())
        finally:
            await pool.close()

    return asyncio.run(load())


def _written(pictures: int, places: int) -> str:
    return "\n".join(["version = 1", *map(_asset, range(pictures)), *(_slot(n, pictures) for n in range(places))])


def _asset(number: int) -> str:
    named = f'id = "asset-{number}"\nfile = "{number}.jpg"\ntags = ["tag-{number % 50}"]'
    return f'[[asset]]\n{named}\ncopies = ["A colour"]\nfocal = [0.5, 0.5]\nalt = "A colour"'


def _slot(number: int, pictures: int) -> str:
    offered = [f"asset-{(number * OFFERED + n) % pictures}" for n in range(OFFERED)]
    shape = f'category = "contextual"\nfallback = []\nwidth = {WIDTH}\nheight = {HEIGHT}\n{LOOK}'
    return (
        f'[[slot]]\nname = "slot-{number}"\n{shape}\ndefault = "{offered[0]}"\ncandidates = {json.dumps(offered[1:])}'
    )
