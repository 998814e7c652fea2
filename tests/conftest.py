"""What tests of several rooms share: the real components, built once through the cache and signed by a test key."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from builder import build
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import TrustFile

# A busy machine is slow, not wrong: budgets are the benches' part. The same examples at every run, so that a commit is
# as green tomorrow; `pytest --hypothesis-profile random` looks for further ones.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", settings.get_profile("random"), derandomize=True, database=None)
settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent


# The files that take longest, longest first: begun last, one of them keeps one processor waiting for the other.
LONGEST = (
    "simulator/test_minds.py", "simulator/test_fleets.py", "e2e/test_shop.py", "e2e/test_saying_no.py",
    "builder/finish/test_same_answers.py", "edge_cli/test_developing.py", "wheel/test_wheel.py",
    "runtime_host/workers/test_workers.py", "latency_gate/test_kills.py", "latency_gate/test_in_chromium.py",
    "control_plane/test_restore.py", "control_plane/test_crash_points.py", "control_plane/test_machine.py",
    "control_plane/test_migrations.py", "consent_sdk/test_panel.py", "consent_sdk/test_a_no_stays.py",
    "edge_cli/test_restoring.py", "edge_cli/test_evidence_live.py", "edge_cli/test_operating.py",
    "simulator/test_rotation_under_load.py", "builder/test_diff.py", "builder/test_pipeline.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in their order."""
    order = {str(ROOT / "tests" / name): place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(str(item.path), len(order)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--hosts`: where the conformance suite runs. `--inputs`: how many requests a finished component answers alike."""
    parser.addoption("--hosts", default=None, help="hosts of tests/conformance: all, or native,wasmtime,…")
    parser.addoption("--inputs", default=100, type=int, help="requests of tests/builder/finish/test_same_answers.py")


@dataclass(frozen=True)
class Components:
    """Signed releases under `directory`, one folder per function; `store` signed them and `trust` verifies them."""

    directory: Path
    store: KeyStore
    trust: TrustFile

    def __getitem__(self, name: str) -> Path:
        return self.directory / name


@pytest.fixture(scope="session")
def components() -> Components:
    """Every shipped function as a component: most of a minute the first time, a fraction of a second later."""
    keys = ROOT / "build" / "test-keys"
    keys.mkdir(parents=True, exist_ok=True)
    store = KeyStore.open(keys, create=True)
    out = ROOT / "build" / "test-components"
    build(root=ROOT, out=out, signer=store.current("component"))
    return Components(out, store, store.trust_file())
