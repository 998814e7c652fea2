"""A POP in sync with a toy control plane, and a way to run coroutines in plain tests."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from consent_core.clock import ManualClock
from control_plane.app import create_app
from control_plane.settings import Settings
from tests.runtime_host.pop.edge import Edge, make_catalogue, make_edge
from tests.runtime_host.pop.shop import Shop, make_shop


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


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A control plane's data directory after its first start: keys, trust file, the shipped policy."""
    directory = tmp_path_factory.mktemp("published")
    create_app(Settings(data=directory, clock=ManualClock())).close()
    return directory


@pytest.fixture
def shop(tmp_path, published, run, monkeypatch) -> Iterator[Shop]:
    """A POP in `EU`, in sync with the real control plane, which it waits for however busy the machine is."""
    monkeypatch.setattr("runtime_host.pop.serving.routes.consent.withdrawing.WITHIN_S", 60.0)
    made = make_shop(published, tmp_path)
    run(made.sync())
    yield made
    run(made.pop.stop())
    made.plane.close()
