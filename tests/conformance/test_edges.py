"""What a portable edge does beside the contract: configuration, other requests, and how often it asks."""

import json
import subprocess

import pytest

from latency_gate import peers
from tests.runtime_host.wasm.guests import WASM_TOOLS

from .cases import HERO, cookie
from .hosts import HttpHost
from .world import StateServer

HOST = [("host", "127.0.0.1")]


@pytest.fixture(scope="module")
def states(world):
    made = StateServer(world)
    yield made
    made.close()


@pytest.fixture
def component(edge_components):
    return edge_components / "edge_http" / "edge_http.wasm"


@pytest.mark.parametrize(("name", "runs"), [("edge_http", True), ("consent_validation", False)])
def test_a_portable_component_asks_no_engine_for_128_bit_products(name, runs, edge_components):
    """The verifier for our own host multiplies with an instruction that V8 lacks; the one for others does without."""
    command = [WASM_TOOLS, "validate", "--features=-wide-arithmetic", edge_components / name / f"{name}.wasm"]

    assert (subprocess.run(command, capture_output=True, check=False).returncode == 0) is runs


def test_an_edge_without_settings_answers_nothing(component, tmp_path):
    """Nobody is shown anything by an edge that was told nothing, and it names no value of its environment."""
    with peers.wasmtime(component, {"CONSENT_EDGE_POP_KEY": "hidden"}, tmp_path) as server:
        reply = HttpHost(server).ask("GET", HERO, HOST)

    assert (reply.status, reply.code) == (503, "edge-site")
    assert b"hidden" not in reply.body


@pytest.mark.parametrize("broken", ["TRUST", "SITE", "RENDITION_KEY", "POP_KEY", "CONTROL_PLANE", "JURISDICTION"])
def test_a_broken_setting_answers_nothing(broken, component, world, states, tmp_path):
    """Each setting is read strictly."""
    environment = {**world.environment(states.url), f"CONSENT_EDGE_{broken}": "nonsense"}
    with peers.wasmtime(component, environment, tmp_path) as server:
        assert HttpHost(server).ask("GET", HERO, HOST).code == "edge-site"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_an_edge_only_reads(method, started):
    """Consent is the business of POPs and the control plane."""
    reply = started("wasmtime").ask(method, HERO, [*HOST, ("content-length", "0")])

    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


def test_other_paths_are_not_found(started):
    """A portable edge has one route."""
    reply = started("wasmtime").ask("GET", "/v1/consent", HOST)

    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (404, "not-found")


def test_an_instance_per_request_asks_each_time(component, world, states, tmp_path):
    """What one request learned is gone with its instance: the next revocation is in force at once."""
    world.condition = "fresh"
    environment = {**world.environment(states.url), "CONSENT_EDGE_KEEP_S": "60"}
    with peers.wasmtime(component, environment, tmp_path) as server:
        edge = HttpHost(server)
        assert shown(edge, world) == "contextual"
        world.condition = "silent"
        assert shown(edge, world) == "default"


@pytest.mark.parametrize(("keep", "remembered"), [("60", True), ("0", False)])
def test_a_kept_instance_keeps_a_state_as_long_as_it_was_told(keep, remembered, component, world, states, tmp_path):
    """Where a host reuses instances, KEEP_S is how long a revocation may take; 0 asks every time.

    The host picks the instance: while one still ends its last request, the next request gets another.
    """
    reuse = ("--max-instance-reuse-count", "1000", "--idle-instance-timeout", "60s")
    world.condition = "fresh"
    environment = {**world.environment(states.url), "CONSENT_EDGE_KEEP_S": keep}
    with peers.wasmtime(component, environment, tmp_path, *reuse) as server:
        edge = HttpHost(server)
        assert shown(edge, world) == "contextual"
        world.condition = "silent"
        assert any(shown(edge, world) == "contextual" for _ in range(50)) is remembered


def shown(edge, world):
    reply = edge.ask("GET", HERO, [*HOST, *cookie("contextual")(world)])
    return json.loads(reply.body)["category"]
