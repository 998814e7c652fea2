"""The live catalogue: what changes is noticed, checked once, swapped whole; what is broken keeps the last good."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from consent_core.errors import Rejected, Unavailable
from runtime_host.pop.images.gallery import CatalogueWatch, Gallery, Originals
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.images.pools import RenderThreads
from runtime_host.pop.images.sources import Facts
from tests.runtime_host.images.pictures import field as picture
from tests.runtime_host.images.pictures import write_jpeg

CATALOGUE = """
version = 1
[[slot]]
name = "home-hero"
category = "contextual"
fallback = []
width = 640
height = 360
default = "a"
candidates = ["a", "b"]
overlay = "none"
background = "#000000"
"""
ASSET = """
[[asset]]
id = "{0}"
file = "{0}.jpg"
tags = []
copies = ["Some words"]
focal = [0.5, 0.5]
alt = "A picture"
"""


class CountingThreads(RenderThreads):
    """Threads that count checks; `away`: none can be made now."""

    checks = 0
    away = False

    async def check(self, path: Path, folder: Path) -> Facts:
        self.checks += 1
        if self.away:
            raise Unavailable("render-pool", "no render process can be started")
        return await super().check(path, folder)


@dataclass
class Shop:
    """An operator's folder, and a POP's gallery of it."""

    root: Path
    pool: CountingThreads = field(default_factory=CountingThreads)
    adopted: list[LoadedCatalogue] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "art").mkdir()
        self.catalogue("a", "b")
        for number, name in enumerate(("a", "b")):
            self.paint(name, number)

    def catalogue(self, *assets: str) -> None:
        text = CATALOGUE.replace('["a", "b"]', str([*assets]).replace("'", '"'))
        (self.root / "catalogue.toml").write_text(text + "".join(map(ASSET.format, assets)))

    def paint(self, name: str, number: int) -> Path:
        return write_jpeg(self.file(name), picture(200 + 10 * number, 100))

    def file(self, name: str) -> Path:
        return self.root / "art" / f"{name}.jpg"

    def gallery(self, *, owner: bool = True) -> Gallery:
        originals = Originals(self.root / "catalogue.toml", self.root / "art")
        return Gallery(self.root / "pictures", originals, self.pool, owner=owner)

    async def watched(self) -> CatalogueWatch:
        gallery = self.gallery()
        return CatalogueWatch(gallery, await gallery.load(), self.adopted.append)

    @property
    def copies(self) -> int:
        return sum(path.name != "index.json" for path in (self.root / "pictures").iterdir())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def run(shop: Shop) -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    with asyncio.Runner() as runner:
        yield runner.run
        runner.run(shop.pool.close())


def test_each_picture_is_checked_once_for_all_workers_and_starts(shop: Shop, run: Any) -> None:
    """Once per digest: not again by another worker, at the next start, at a look, or under another name."""
    shop.file("b").write_bytes(shop.file("a").read_bytes())

    first = run(shop.gallery().load())
    again = [run(shop.gallery(owner=owner).load()) for owner in (False, True)]

    assert shop.pool.checks == shop.copies == 1
    assert first == again[0] == again[1]
    assert first.sources["a"] == first.sources["b"]


def test_what_is_shown_is_a_copy(shop: Shop, run: Any) -> None:
    """The operator's file may change: the bytes that were checked are those that are rendered."""
    loaded = run(shop.gallery().load())
    before = shop.file("a").read_bytes()
    shop.file("a").unlink()
    os.mkfifo(shop.file("a"))

    assert loaded.sources["a"].read() == before


def test_a_change_takes_over_as_a_whole(shop: Shop, run: Any) -> None:
    """A new picture and a new asset are one swap; the same again is none."""

    async def story() -> None:
        watch = await shop.watched()
        await watch.look()
        assert shop.adopted == []
        shop.paint("a", 5)
        shop.paint("c", 6)
        shop.catalogue("a", "c")
        await watch.look()
        await watch.look()
        (loaded,) = shop.adopted
        assert set(loaded.sources) == {"a", "c"}
        assert loaded.sources["a"].width == 250
        assert watch.faults == {}

    run(story())


@pytest.mark.parametrize("broken", ["nonsense", "truncated", "empty", "gone", "fifo", "device", "directory"])
def test_a_broken_picture_keeps_its_last_good(shop: Shop, run: Any, broken: str) -> None:
    """Also a default, also over a restart; it is named until it is good again."""

    def break_it() -> None:
        path, data = shop.file("a"), shop.file("a").read_bytes()
        path.unlink()
        match broken:
            case "nonsense":
                path.write_bytes(b"no picture")
            case "truncated":
                path.write_bytes(data[: len(data) // 2])
            case "empty":
                path.touch()
            case "fifo":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case "directory":
                path.mkdir()

    async def story() -> None:
        watch = await shop.watched()
        good = (await shop.gallery().load()).sources
        break_it()
        await watch.look()
        assert list(watch.faults) == ["a"]
        assert shop.adopted[-1].sources == good
        assert shop.adopted[-1].catalogue.slots["home-hero"].default == "a"
        restarted = await shop.gallery().load()
        assert restarted.sources == good
        assert list(restarted.kept) == ["a"]

    run(story())


def test_a_broken_catalogue_changes_nothing(shop: Shop, run: Any) -> None:
    """Nor does one whose default was never good. The next good one takes over."""

    async def story() -> None:
        watch = await shop.watched()
        (shop.root / "catalogue.toml").write_text("version = 2")
        await watch.look()
        assert (list(watch.faults), shop.adopted) == (["catalogue"], [])
        (shop.root / "catalogue.toml").write_text(CATALOGUE.replace('"a"', '"c"') + ASSET.format("c"))
        await watch.look()
        assert (list(watch.faults), shop.adopted) == (["catalogue"], [])
        shop.catalogue("a")
        await watch.look()
        assert (watch.faults, len(shop.adopted)) == ({}, 1)

    run(story())


def test_a_new_picture_that_was_never_good_is_left_out(shop: Shop, run: Any) -> None:
    """The others are shown; it joins them once it is good."""

    async def story() -> None:
        watch = await shop.watched()
        shop.catalogue("a", "b", "c")
        shop.file("c").write_bytes(b"half of it has arrived")
        await watch.look()
        assert list(watch.faults) == ["c"]
        assert set(shop.adopted[-1].sources) == {"a", "b"}
        shop.paint("c", 7)
        await watch.look()
        assert watch.faults == {}
        assert set(shop.adopted[-1].sources) == {"a", "b", "c"}

    run(story())


def test_a_write_that_leaves_no_trace_in_the_clock_is_found(shop: Shop, run: Any) -> None:
    """Overwritten in place within one tick, same size: a file that was read once is read once more."""

    async def story() -> None:
        gallery = shop.gallery()
        await gallery.load()
        for seen in gallery._index.seen.values():
            seen.digest = "0" * 64  # as if other bytes had been read under the same look
        gallery._index.write(shop.root / "pictures")
        assert gallery.changed()
        loaded = await gallery.load()
        assert {source.digest for source in loaded.sources.values()}.isdisjoint({"0" * 64})
        await gallery.load()
        assert not gallery.changed()

    run(story())


def test_a_pool_that_cannot_check_condemns_nothing(shop: Shop, run: Any) -> None:
    """What could not be checked is tried again, and is no verdict about the picture."""

    async def story() -> None:
        watch = await shop.watched()
        shop.pool.away = True
        shop.paint("b", 9)
        await watch.look()
        assert list(watch.faults) == ["b"]
        shop.pool.away = False
        await watch.look()
        assert watch.faults == {}
        assert shop.adopted[-1].sources["b"].width == 290

    run(story())


def test_each_fault_is_logged_once(shop: Shop, run: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Not every two seconds; again when it comes back."""

    async def story() -> None:
        watch = await shop.watched()
        for _ in range(2):
            shop.file("b").write_bytes(b"no picture")
            for _ in range(3):
                await watch.load()
            shop.paint("b", 1)
            await watch.load()

    with caplog.at_level(logging.WARNING):
        run(story())
    assert [record.getMessage().partition(" not ")[0] for record in caplog.records] == ["catalogue: b: b.jpg:"] * 2


def test_old_copies_go_one_swap_later(shop: Shop, run: Any) -> None:
    """The edition before stays for requests that still use it; none piles up."""

    async def story() -> None:
        watch = await shop.watched()
        for number in range(3, 8):
            shop.paint("a", number)
            await watch.load()
            assert shop.copies == 3

    run(story())


def test_a_catalogue_that_is_refused_takes_no_copy_away(shop: Shop, run: Any) -> None:
    """However often it is tried: what is shown is still rendered from its copies."""

    async def story() -> None:
        watch = await shop.watched()
        shown = await shop.gallery(owner=False).load()
        (shop.root / "catalogue.toml").write_text(
            CATALOGUE.replace('"a", "b"', '"c"').replace('"a"', '"c"') + ASSET.format("c")
        )
        for _ in range(3):
            await watch.load()
        assert list(watch.faults) == ["catalogue"]
        assert all(source.read() for source in shown.sources.values())

    run(story())


def test_an_index_that_nobody_can_read_is_made_again(shop: Shop, run: Any) -> None:
    """Torn, of another version, of another libvips: everything is looked at again."""
    good = run(shop.gallery().load())
    for torn in ("", "[]", "{}", '{"form": [1, "0.0.0"]}', '{"form": 3}'):
        (shop.root / "pictures" / "index.json").write_text(torn)
        assert run(shop.gallery().load()) == good


def test_a_start_without_a_default_is_refused(shop: Shop, run: Any) -> None:
    """With the file and the reason."""
    shop.file("a").write_bytes(b"no picture")

    with pytest.raises(Rejected, match=r"a\.jpg: not a JPEG") as refused:
        run(shop.gallery().load())
    assert refused.value.code == "asset-refused"
