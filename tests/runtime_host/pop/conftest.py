"""A POP in sync with a toy control plane, and a way to run coroutines in plain tests."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from edge import Edge, make_catalogue, make_edge


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    return make_catalogue(tmp_path_factory.mktemp("art"))


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run a coroutine to its end on this test's own loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def edge(tmp_path, catalogue, run) -> Iterator[Edge]:
    """In sync, policy revision 1 in force."""
    made = make_edge(tmp_path, catalogue)
    run(made.sync())
    yield made
    run(made.pop.stop())
