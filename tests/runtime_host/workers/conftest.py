"""A control plane and two POPs of two processes each; importable helpers for the tests beside it."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop
from rich.console import Console

from fleet.processes import Fleet, PopSpec
from fleet.project import SHOP, prepare
from tests.runtime_host.workers.crewed import Crewed

TWO = ("--workers", "2")


@pytest.fixture
def run() -> Iterator[Callable]:
    """Run a coroutine to its end on this test's own loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run


@pytest.fixture(scope="session")
def crews(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Signed by its own keys; the components come from the cache."""
    place = tmp_path_factory.mktemp("crews")
    stage = prepare(place / "data", place / "components", Console(quiet=True))
    pops = [PopSpec("tokyo-1", "EU", options=TWO), PopSpec("osaka-1", "EU", options=TWO)]
    with Fleet(stage.data, pops, site=SHOP / "site", components=stage.components) as fleet:
        yield fleet


@pytest.fixture
def pop(crews: Fleet) -> Iterator[Crewed]:
    """One that stays up."""
    made = Crewed(crews, "tokyo-1")
    made.until_whole()
    yield made
    made.close()


@pytest.fixture
def restarted(crews: Fleet) -> Iterator[Crewed]:
    """One that a test may stop or kill: it is started again afterwards, with two workers."""
    member = crews.pops["osaka-1"]
    arguments = list(member.arguments)
    made = Crewed(crews, "osaka-1")
    made.until_whole()
    yield made
    made.close()
    member.stop()
    member.arguments[:] = arguments
    member.start()
    member.wait_ready()
