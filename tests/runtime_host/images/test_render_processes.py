"""Render processes: what a decoder does to itself, the POP survives, says, and gets over."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consent_core.errors import Unavailable
from consent_core.formats.rendition import Recipe
from runtime_host.pop.images import LoadedCatalogue
from runtime_host.pop.images.pixels import render
from runtime_host.pop.images.processes import Limits, RenderProcesses
from runtime_host.pop.images.processes import process as process_module
from runtime_host.pop.images.sources import Source
from runtime_host.pop.memory import pss_bytes
from tests.runtime_host.images.pictures import field, loaded

MIB = 2**20


@pytest.fixture(autouse=True)
def tests_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A render process finds the hostile pictures of this file."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


@pytest.fixture
def catalogue(tmp_path: Path) -> LoadedCatalogue:
    return loaded(tmp_path)


def wanted(catalogue: LoadedCatalogue, width: int = 320) -> tuple[Source, Recipe]:
    return catalogue.sources["field"], catalogue.recipe("hero", "field", width, format="jpeg")


@asynccontextmanager
async def pool_of(size: int = 1, limits: Limits | None = None) -> AsyncIterator[RenderProcesses]:
    pool = RenderProcesses(size, limits)
    try:
        yield pool
    finally:
        await pool.close()
    assert not pool.pids


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - another process decides when
            await asyncio.sleep(0.01)


async def failure_of(work: Awaitable[bytes]) -> str:
    with pytest.raises(Unavailable) as failure:
        await work
    return failure.value.code


def test_a_process_makes_the_same_bytes_as_this_one(catalogue: LoadedCatalogue) -> None:
    """Entity tags must not depend on where a picture was rendered. Nothing runs before the first miss."""

    async def work() -> None:
        source, recipe = wanted(catalogue)
        async with pool_of() as pool:
            assert not pool.pids
            assert await pool.render(source, recipe) == render(source.read(), source, recipe)
            assert len(pool.pids) == 1

    run(work)


def test_as_many_processes_as_allowed_and_no_more(catalogue: LoadedCatalogue) -> None:
    """Ten misses at once are rendered by two processes."""

    async def work() -> None:
        source, recipe = wanted(catalogue)
        async with pool_of(2) as pool:
            bodies = await asyncio.gather(*(pool.render(source, recipe) for _ in range(10)))
            assert len(set(bodies)) == 1
            assert len(pool.pids) == 2
            assert pss_bytes(pool.pids) > pss_bytes()

    run(work)


class Crashing(Source):
    """A picture whose decoder writes where it must not."""

    def read(self) -> bytes:
        os.kill(os.getpid(), signal.SIGSEGV)
        return b""


class Hanging(Source):
    """A picture whose decoder never ends."""

    def read(self) -> bytes:
        while True:
            pass


def hostile(catalogue: LoadedCatalogue, kind: type[Source]) -> Source:
    """A checked picture that crashes its reader."""
    made = catalogue.sources["field"]
    return kind(made.path, made.folder, "f" * 64, made.width, made.height)


def test_a_process_that_crashes_fails_its_request_alone(catalogue: LoadedCatalogue) -> None:
    """It hears so at once, its picture rests, and other pictures get another process."""

    async def work() -> None:
        _, recipe = wanted(catalogue)
        crashing = hostile(catalogue, Crashing)
        async with pool_of() as pool:
            await pool.render(*wanted(catalogue))
            assert await failure_of(pool.render(crashing, recipe)) == "render-failed"
            assert pool.lost == 1
            assert await failure_of(pool.render(crashing, recipe)) == "render-failed"
            assert (pool.lost, len(pool.pids)) == (1, 0)  # at rest: no process was started for it
            assert await pool.render(*wanted(catalogue))

    run(work)


def test_a_picture_that_rested_is_tried_again(catalogue: LoadedCatalogue) -> None:
    """A crash is not for ever: memory may have been short."""

    async def work() -> None:
        async with pool_of(limits=Limits(rest_s=0)) as pool:
            crashing, (_, recipe) = hostile(catalogue, Crashing), wanted(catalogue)
            for crashes in (1, 2):
                assert await failure_of(pool.render(crashing, recipe)) == "render-failed"
                assert pool.lost == crashes

    run(work)


def test_a_process_that_died_between_renders_harms_nobody(catalogue: LoadedCatalogue) -> None:
    """The next request gets a new one and hears nothing of it, whether the POP has noticed yet or not."""

    async def work() -> None:
        async with pool_of() as pool:
            await pool.render(*wanted(catalogue))
            for noticed in (False, True):
                (pid,) = pool.pids
                os.kill(pid, signal.SIGKILL)
                if noticed:
                    await until(lambda: not pool.pids)
                assert await pool.render(*wanted(catalogue))
            assert pool.lost == 0

    run(work)


def test_a_process_that_hangs_is_ended_at_its_deadline(catalogue: LoadedCatalogue) -> None:
    """However busy it is; nothing of it stays."""

    async def work() -> None:
        _, recipe = wanted(catalogue)
        async with pool_of(limits=Limits(deadline_s=0.3)) as pool:
            assert await failure_of(pool.render(hostile(catalogue, Hanging), recipe)) == "render-timeout"
            assert (pool.lost, len(pool.pids)) == (1, 0)

    run(work)


def test_a_process_that_grows_is_refused_memory(tmp_path: Path) -> None:
    """The limit holds in the process, long before the machine is full: a large picture fails, a small one does not."""
    large, small = tmp_path / "large", tmp_path / "small"
    large.mkdir()
    small.mkdir()
    big = loaded(large, field(4000, 3000))
    little = loaded(small)

    async def work() -> None:
        async with pool_of(limits=Limits(memory_bytes=40 * MIB)) as pool:
            assert await failure_of(pool.render(*wanted(big, 2400))) == "render-failed"
            assert await pool.render(*wanted(little))
        async with pool_of() as pool:
            assert await pool.render(*wanted(big, 2400))

    run(work)


def test_an_idle_process_ends(catalogue: LoadedCatalogue) -> None:
    """A POP whose pictures are all cached holds no memory for rendering."""

    async def work() -> None:
        async with pool_of(limits=Limits(idle_s=0.01)) as pool:
            await pool.render(*wanted(catalogue))
            await until(lambda: not pool.pids)
            assert await pool.render(*wanted(catalogue))
            assert pool.lost == 0

    run(work)


def test_renderers_that_cannot_start_are_dead_until_they_can(
    catalogue: LoadedCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three failed starts and the pool says so; requests no longer wait for a start; it comes back by itself."""

    async def work() -> None:
        async with pool_of(limits=Limits(retry_s=0.01)) as pool:
            with monkeypatch.context() as broken:
                broken.setattr(process_module, "MODULE", "no_such_program")
                for _ in range(3):
                    assert not pool.dead
                    assert await failure_of(pool.render(*wanted(catalogue))) == "render-pool"
                assert pool.dead
                assert await failure_of(pool.render(*wanted(catalogue))) == "render-pool"
            await until(lambda: not pool.dead)
            assert await pool.render(*wanted(catalogue))

    run(work)


def test_a_refusal_keeps_its_code_and_its_process(catalogue: LoadedCatalogue) -> None:
    """A file that is away is not the process's fault."""

    async def work() -> None:
        source, recipe = wanted(catalogue)
        async with pool_of() as pool:
            await pool.render(source, recipe)
            before = pool.pids
            source.path.unlink()
            assert await failure_of(pool.render(source, recipe)) == "asset-unavailable"
            assert (pool.pids, pool.lost) == (before, 0)

    run(work)


def test_no_secret_of_the_environment_goes_along(catalogue: LoadedCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that a picture has taken over finds no token to send away."""
    monkeypatch.setenv("EDGE_KEY_PROVIDER_TOKEN", "s3cret")

    async def work() -> None:
        async with pool_of() as pool:
            await pool.render(*wanted(catalogue))
            (pid,) = pool.pids
            assert b"s3cret" not in await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)

    run(work)


def test_a_process_ends_with_its_pop(catalogue: LoadedCatalogue) -> None:
    """The process at the other end is gone: nothing stays behind."""

    async def work() -> None:
        async with pool_of() as pool:
            process = await pool._start()
            process._writer.close()
            await process._process.wait()
            assert process._process.returncode == 0

    run(work)
