"""The shipped policy, evaluated once, and keys to sign it with."""

from pathlib import Path

import pytest

from consent_core.clock import ManualClock
from consent_core.policy.bundle import Approver, build_bundle
from consent_core.policy.publish import PolicyRelease, publish
from consent_core.policy.sources import read_sources
from consent_core.trust.keys import KeyStore

ROOT = Path(__file__).parents[3]
NOW = 1_800_000_000


@pytest.fixture(scope="session")
def sources():
    return read_sources(ROOT / "policies", ROOT / "legal")


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return KeyStore.open(tmp_path_factory.mktemp("keys"), create=True, clock=ManualClock(NOW))


@pytest.fixture(scope="session")
def trust(store):
    return store.trust_file()


@pytest.fixture(scope="session")
def signer(store):
    return store.current("bundle")


@pytest.fixture(scope="session")
def published(sources, signer, trust):
    """Revision 7 of the shipped policy."""
    release = PolicyRelease(
        revision=7, approver="spiffe://ui-tools/operator/ann", at=NOW, previous=("sha256:" + "a" * 64,)
    )
    return publish(sources, signer, trust, release)


@pytest.fixture(scope="session")
def table(published):
    return published.bundle.table


@pytest.fixture(scope="session")
def content(sources, published):
    """What a bundle of the shipped policy carries, path -> bytes, before approval and signature."""
    return sources.files(published.bundle.table.to_value())


@pytest.fixture
def build(content, signer):
    """Builds a signed bundle of the shipped policy with changes."""

    def build(revision=7, key=signer, **changes):
        return build_bundle({**content, **changes}, revision, key, Approver("ann", "policy-approval", NOW))

    return build


@pytest.fixture(scope="session")
def rego(published):
    """The rules of the signed bundle, compiled."""
    return published.bundle.rego()


@pytest.fixture(scope="session")
def shipped(published):
    """`shipped()` is `published`, for property tests: what hypothesis prints of it stays short."""
    return lambda: published


@pytest.fixture(scope="session")
def files(published):
    """What was published, path -> bytes."""
    return dict(published.bundle.files)
