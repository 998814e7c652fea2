"""What policy costs: the look-up of every request, opening a bundle that arrived, and the mesh's own question.

`lookup` is a POP's question for one request; `lookup_unknown_place` the same from a place the policy does not know.
`rego_decision` is what the look-up replaces. `authorize` is one mesh call judged by `personalization.authz`,
`authorize_again` the same call once more.
"""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from consent_core.clock import ManualClock
from consent_core.policy.bundle import open_bundle
from consent_core.policy.publish import PolicyRelease, Published, publish
from consent_core.policy.rego import Rego
from consent_core.policy.sources import read_sources
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import TrustFile

ROOT = Path(__file__).parents[1]
NOW = 1_800_000_000
CHOICES = ("contextual", "behavioral")
RENDER = {
    "method": "POST",
    "path": ["v1", "render"],
    "jwt": {"scopes": ["contextual"]},
    "request": {"payload": {"scope": "contextual"}, "region": "tokyo-1"},
    "mtls": {"spiffe_id": "spiffe://ui-tools/edge/tokyo-1"},
}
REFRESH = {**RENDER, "request": {"payload": {"scope": ""}, "region": ""}}
QUESTION = {"jurisdiction": "US-CA", "gpc": True, "age_band": "adult", "choices": list(CHOICES)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore.open(tmp_path_factory.mktemp("keys"), create=True, clock=ManualClock(NOW))


@pytest.fixture(scope="module")
def trust(store: KeyStore) -> TrustFile:
    return store.trust_file()


@pytest.fixture(scope="module")
def published(store: KeyStore, trust: TrustFile) -> Published:
    sources = read_sources(ROOT / "policies", ROOT / "legal")
    return publish(sources, store.current("bundle"), trust, PolicyRelease(1, "bench", NOW))


@pytest.fixture(scope="module")
def rego(published: Published) -> Rego:
    return published.bundle.rego()


def test_lookup(benchmark: BenchmarkFixture, published: Published) -> None:
    table = published.bundle.table

    assert benchmark(table.lookup, "US-CA", True, CHOICES).categories == ("contextual",)


def test_lookup_unknown_place(benchmark: BenchmarkFixture, published: Published) -> None:
    table = published.bundle.table

    assert benchmark(table.lookup, "AQ", True, CHOICES).jurisdiction == "ZZ"


def test_open_bundle(benchmark: BenchmarkFixture, published: Published, trust: TrustFile) -> None:
    assert benchmark(open_bundle, published.data, trust, NOW, frozenset(), min_revision=1).revision == 1


def test_rego_decision(benchmark: BenchmarkFixture, rego: Rego) -> None:
    answer = benchmark(rego.evaluate, "consent_edge.consent.decision", QUESTION)

    assert answer["categories"] == ["contextual"]


def test_authorize(benchmark: BenchmarkFixture, rego: Rego) -> None:
    ids = count()

    def new_visitor() -> tuple[tuple[str, Any], dict[str, Any]]:
        return ("personalization.authz.allow", {**REFRESH, "path": ["v1", "consents", f"s{next(ids)}", "refresh"]}), {}

    assert benchmark.pedantic(rego.evaluate, setup=new_visitor, rounds=300) is True


def test_authorize_again(benchmark: BenchmarkFixture, rego: Rego) -> None:
    assert benchmark(rego.evaluate, "personalization.authz.allow", RENDER) is True
