"""Both ways to run a function: natively from its sources, and as the signed component in fresh sandboxes."""

from collections.abc import Iterator

import pytest

from runtime_host.wasm.functions import ConsentValidator, Personalizer, Runner
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.native import NativeFunction
from runtime_host.wasm.sandbox import SandboxPool
from tests.conftest import ROOT, Components

HOSTS = ("native", "component")


def _runner(name: str, host: str, components: Components) -> Runner:
    if host == "native":
        return NativeFunction(ROOT / "functions" / name)
    return SandboxPool(load_component(components[name], components.trust, now=0, revoked=frozenset()))


@pytest.fixture(scope="session", params=HOSTS)
def validator(request: pytest.FixtureRequest, components: Components) -> Iterator[ConsentValidator]:
    runner = _runner("consent_validation", request.param, components)
    yield ConsentValidator(runner)
    runner.close()


@pytest.fixture(scope="session", params=HOSTS)
def personalizer(request: pytest.FixtureRequest, components: Components) -> Iterator[Personalizer]:
    runner = _runner("personalization", request.param, components)
    yield Personalizer(runner)
    runner.close()
