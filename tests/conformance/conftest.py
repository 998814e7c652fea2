"""Hosts started once, answers noted for the report."""

import contextlib
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from builder import build

from .cases import CASES
from .hosts import FAST, HOSTS
from .world import ROOT, World

REPORT = ROOT / "build" / "conformance.json"
_outcomes: dict[str, dict[str, str]] = {}


def chosen_hosts(config) -> tuple[str, ...]:
    """The hosts asked for: `--hosts all`, or a list; without it those that start in a second."""
    wish = config.getoption("--hosts", None)
    names = FAST if wish is None else tuple(HOSTS) if wish == "all" else tuple(wish.split(","))
    unknown = set(names) - set(HOSTS)
    if unknown:
        raise pytest.UsageError(f"--hosts: unknown {', '.join(sorted(unknown))}; there are {', '.join(HOSTS)}")
    return names


def pytest_generate_tests(metafunc):
    if "host" in metafunc.fixturenames:
        metafunc.parametrize("host", chosen_hosts(metafunc.config), indirect=True, scope="session")


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def edge_components(components) -> Path:
    """The components, with edge_http among them."""
    build(["edge_http"], root=ROOT, out=components.directory, signer=components.store.current("component"))
    return components.directory


@pytest.fixture(scope="session")
def started(world, edge_components, tmp_path_factory):
    """Hosts by name, each started when it is first asked for."""
    with contextlib.ExitStack() as stack:
        hosts = {}

        def start(name):
            if name not in hosts:
                place = tmp_path_factory.mktemp(name)
                hosts[name] = stack.enter_context(HOSTS[name](world, place, edge_components))
            return hosts[name]

        yield start


@pytest.fixture(scope="session")
def host(request, started):
    """The name of a host, and the host."""
    return request.param, started(request.param)


@pytest.fixture
def note():
    """Write down what a host made of a case."""

    def noted(name, case, outcome):
        _outcomes.setdefault(case, {})[name] = outcome

    return noted


def pytest_sessionfinish(session):
    if not _outcomes:
        return
    names = [name for name in HOSTS if any(name in said for said in _outcomes.values())]
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    cases = {case.name: _outcomes[case.name] for case in CASES if case.name in _outcomes}
    REPORT.write_text(json.dumps({"hosts": names, "cases": cases}, indent=1))
    if session.config.getoption("--hosts", None):
        _show(names, cases)


def _show(names, cases):
    table = Table(title="conformance", title_justify="left")
    table.add_column("case")
    for name in names:
        table.add_column(name)
    for case, said in cases.items():
        table.add_row(case, *(said.get(name, "") for name in names))
    Console(width=140).print(table)
