"""Rendering on demand: shared work, shared failures forgotten, a cache that never outgrows its bytes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected, Unavailable
from consent_core.formats.rendition import WIDTHS, Recipe
from runtime_host.pop.images import LoadedCatalogue, Renderer, Rendition, RenditionCache
from runtime_host.pop.images.cache import ENTRY_OVERHEAD
from runtime_host.pop.images.pools import RenderThreads
from tests.runtime_host.images.pictures import decoded, loaded


@pytest.fixture
def catalogue(tmp_path: Path) -> LoadedCatalogue:
    return loaded(tmp_path)


@pytest.fixture
def renderer(catalogue: LoadedCatalogue) -> Iterator[Renderer]:
    made = Renderer(catalogue, RenditionCache(1_000_000), RenderThreads(2), max_waiting=4)
    yield made
    asyncio.run(made.close())


def recipe(catalogue: LoadedCatalogue, width: int = 320, format: str = "jpeg") -> Recipe:
    return catalogue.recipe("hero", "field", width, format=format)


def test_a_rendition_names_its_type_and_its_bytes(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """Content type by format; the entity tag is of the bytes and the same on another POP."""
    first = asyncio.run(renderer.render(recipe(catalogue, format="webp")))
    other = Renderer(catalogue)
    second = asyncio.run(other.render(recipe(catalogue, format="webp")))
    asyncio.run(other.close())

    assert first == second
    assert first.content_type == "image/webp"
    assert decoded(first.body).shape == (180, 320, 3)
    assert first.etag.startswith('"')
    assert first.etag.endswith('"')


def test_many_waiters_share_one_render(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """A hundred requests for a cold hero cost one render; the next hundred cost none."""

    async def crowd() -> list[Rendition]:
        return await asyncio.gather(*(renderer.render(recipe(catalogue)) for _ in range(100)))

    results = asyncio.run(crowd())
    again = asyncio.run(crowd())

    assert len(set(map(id, results + again))) == 1
    assert (renderer.renders, renderer.cache.misses, renderer.cache.hits) == (1, 100, 100)


def test_a_waiter_that_leaves_does_not_stop_the_others(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """The first to ask closes the connection: the render goes on for requests that still wait."""

    async def run() -> Rendition:
        first = asyncio.create_task(renderer.render(recipe(catalogue)))
        second = asyncio.create_task(renderer.render(recipe(catalogue)))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(run()).body
    assert renderer.renders == 1


def test_a_render_everybody_left_is_finished_and_kept(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """The work is not lost: the next request finds it."""

    async def run() -> Rendition:
        left = asyncio.create_task(renderer.render(recipe(catalogue)))
        await asyncio.sleep(0)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        return await renderer.render(recipe(catalogue))

    assert asyncio.run(run()).body
    assert renderer.renders == 1


def test_a_failure_reaches_all_waiters_and_is_forgotten(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """While the file is away everybody hears so; once it is back the same recipe works."""
    path = catalogue.sources["field"].path
    data = path.read_bytes()
    path.unlink()

    async def crowd() -> list[Rendition | BaseException]:
        waiting = (renderer.render(recipe(catalogue)) for _ in range(3))
        return await asyncio.gather(*waiting, return_exceptions=True)

    failures = asyncio.run(crowd())
    path.write_bytes(data)

    assert [failure.code for failure in failures if isinstance(failure, Unavailable)] == ["asset-unavailable"] * 3
    assert (renderer.renders, len(renderer.cache)) == (1, 0)
    assert asyncio.run(renderer.render(recipe(catalogue))).body


def test_a_failure_nobody_waits_for_is_silent(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """No `exception was never retrieved` in the log (warnings are errors here)."""
    catalogue.sources["field"].path.unlink()

    async def run() -> None:
        left = asyncio.create_task(renderer.render(recipe(catalogue)))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        assert renderer.waiting == 0

    asyncio.run(run())


def test_too_many_renders_are_refused_and_not_collected(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """Four may be begun; the fifth hears `render-busy`, and joining one of the four is still free."""

    async def run() -> list[Rendition | BaseException]:
        cold = [renderer.render(recipe(catalogue, width)) for width in WIDTHS[:5]]
        same = [renderer.render(recipe(catalogue, WIDTHS[0]))]
        return await asyncio.gather(*cold, *same, return_exceptions=True)

    *begun, fifth, same = asyncio.run(run())

    assert isinstance(fifth, Unavailable)
    assert (fifth.code, fifth.status) == ("render-busy", 503)
    assert all(isinstance(result, Rendition) for result in [*begun, same])


def test_a_recipe_for_another_source_is_gone(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """A signed address outlives its picture: 404, and nothing else is shown in its place."""
    old = Recipe("field", "0" * 32, 320, 180, "jpeg")
    removed = Recipe("removed", catalogue.sources["field"].name, 320, 180, "jpeg")

    for gone in (old, removed):
        with pytest.raises(Rejected) as refusal:
            asyncio.run(renderer.render(gone))
        assert (refusal.value.code, refusal.value.status) == ("rendition-recipe", 404)


def test_rendering_before_negotiating_is_our_own_mistake(catalogue: LoadedCatalogue, renderer: Renderer) -> None:
    """`auto` must not become a cache entry."""
    with pytest.raises(ValueError, match="negotiate"):
        asyncio.run(renderer.render(recipe(catalogue, format="auto")))


def named(number: int) -> Recipe:
    return Recipe(f"a{number}", "0" * 32, 320, 180, "jpeg")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4000)), max_size=60))
def test_the_cache_never_holds_more_bytes_than_it_may(puts: list[tuple[int, int]]) -> None:
    """After every put, and its own count is exact."""
    cache = RenditionCache(max_bytes=10_000)
    for number, size in puts:
        cache.put(named(number), Rendition(bytes(size), "image/jpeg", '""'))
        held = [entry for entry in (cache.get(named(other)) for other in range(10)) if entry]

        assert cache.bytes == sum(len(entry.body) + ENTRY_OVERHEAD for entry in held) <= 10_000
        assert len(held) == len(cache)


def test_the_least_recently_used_rendition_goes_first() -> None:
    """Using one keeps it."""
    cache = RenditionCache(max_bytes=3 * (ENTRY_OVERHEAD + 10))
    for number in range(3):
        cache.put(named(number), Rendition(bytes(10), "image/jpeg", '""'))
    cache.get(named(0))
    cache.put(named(3), Rendition(bytes(10), "image/jpeg", '""'))

    assert [cache.get(named(number)) is not None for number in range(4)] == [True, False, True, True]
    assert cache.evictions == 1


def test_a_rendition_larger_than_the_cache_is_served_but_not_kept() -> None:
    """And it does not push everything else out."""
    cache = RenditionCache(max_bytes=5_000)
    cache.put(named(1), Rendition(bytes(10), "image/jpeg", '""'))
    cache.put(named(2), Rendition(bytes(6_000), "image/jpeg", '""'))

    assert (len(cache), cache.get(named(2))) == (1, None)
