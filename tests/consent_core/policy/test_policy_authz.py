"""`personalization.authz`: every role against every mesh route, and an input that is exactly what it says."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.policy.rego import Rego
from consent_core.policy.sources import read_sources

ROOT = Path(__file__).parents[3]
ROLES = ("edge", "control-plane", "device", "operator")

# Route -> the roles that may call it, for a caller named `tokyo-1`.
ROUTES = {
    ("POST", "v1/render"): {"edge"},
    ("POST", "v1/purge"): {"control-plane"},
    ("POST", "v1/consents"): {"edge"},
    ("GET", "v1/consents/c3ViamVjdA"): {"edge"},
    ("POST", "v1/attesters/retired"): {"operator"},
    ("DELETE", "v1/consents/c3ViamVjdA"): {"edge"},
    ("DELETE", "v1/consents/-"): {"edge"},
    ("POST", "v1/consents/c3ViamVjdA/refresh"): {"edge"},
    ("GET", "v1/policy/bundle"): {"edge", "device", "operator"},
    ("POST", "v1/policy/bundle"): {"operator"},
    ("GET", "v1/policy/status"): {"operator"},
    ("POST", "v1/revocations"): {"operator"},
    ("GET", "v1/revocations"): {"edge", "operator"},
    ("GET", "v1/revocations/stream"): {"edge", "operator"},
    ("GET", "v1/pops"): {"operator"},
    ("GET", "v1/pops/tokyo-1/status"): {"operator"},
    ("POST", "v1/pops/tokyo-1/status"): {"edge"},
    ("POST", "v1/pops/paris-1/status"): set(),
    ("POST", "v1/pops/tokyo-1/kept"): {"edge"},
    ("POST", "v1/pops/paris-1/kept"): set(),
    ("GET", "v1/releases"): {"edge", "device", "operator"},
    ("GET", "v1/releases/model-v20270101.1/release.json"): {"edge", "device", "operator"},
    ("POST", "v1/releases/model-v20270101.1"): {"operator"},
    ("POST", "federated-updates"): {"edge"},
    ("GET", "v1/rounds"): {"operator"},
    ("GET", "v1/rounds/2027-W02"): {"edge", "operator"},
    ("GET", "v1/rounds/2027-W02/edge"): set(),
    ("POST", "v1/rounds/2027-W02"): set(),
    ("GET", "v1/attesters"): {"operator"},
    ("POST", "v1/attestations"): {"edge", "device"},
    ("POST", "v1/attesters"): {"edge", "device"},
    ("POST", "v1/evidence"): {"operator"},
    ("GET", "v1/visitors/5f"): {"operator"},
    ("POST", "v1/enrolments"): {"operator"},
    ("POST", "v1/svid"): {"edge"},
    ("GET", "v1/components"): {"edge"},
    ("GET", "v1/components/personalization/personalization.wasm"): {"edge"},
    ("GET", "v1/edge-state"): {"edge", "device"},
    ("GET", "v1/dsar"): {"operator"},
    ("GET", "v1/dsar/7"): {"operator"},
    ("POST", "v1/dsar"): {"operator"},
    ("POST", "v1/dsar/7/cancel"): {"operator"},
    ("GET", ".well-known/jwks.json"): {"edge", "device", "operator"},
    ("DELETE", "v1/revocations"): set(),
    ("PUT", "v1/consents"): set(),
    ("GET", ""): set(),
    ("GET", "metrics"): set(),
    ("GET", "v1/consents"): set(),
    ("GET", "v1/consents/a/b"): set(),
    ("GET", "v2/edge-state"): set(),
}


@pytest.fixture(scope="module")
def authz():
    sources = read_sources(ROOT / "policies", ROOT / "legal")
    return Rego(sources.files({}))


def call(
    method, path, peer="spiffe://ui-tools/edge/tokyo-1", scopes=("contextual",), scope="contextual", region="tokyo-1"
):
    """The documented input, no field more and none less."""
    return {
        "method": method,
        "path": path if isinstance(path, list) else path.split("/"),
        "jwt": {"scopes": list(scopes)},
        "request": {"payload": {"scope": scope}, "region": region},
        "mtls": {"spiffe_id": peer},
    }


def allowed(authz, request):
    return authz.evaluate("personalization.authz.allow", request)


@pytest.mark.parametrize(("role", "route"), list(product((*ROLES, "root", "Edge", ""), ROUTES)))
def test_role_and_route(authz, role, route):
    """One cell of the table."""
    issuer = {"region": f"{role}/tokyo-1"} if route[1] == "v1/attestations" else {}
    request = call(*route, peer=f"spiffe://ui-tools/{role}/tokyo-1", **issuer)

    assert allowed(authz, request) is (role in ROUTES[route])


def test_render_needs_scope_and_own_region(authz):
    """The scope must be in the token, and the caller must be the POP it says it is."""
    assert allowed(authz, call("POST", "v1/render"))
    assert not allowed(authz, call("POST", "v1/render", scope="behavioral"))
    assert not allowed(authz, call("POST", "v1/render", scopes=()))
    assert not allowed(authz, call("POST", "v1/render", scopes=(), scope=""))
    assert not allowed(authz, call("POST", "v1/render", region="paris-1"))
    assert not allowed(authz, call("POST", "v1/render", region=""))
    assert not allowed(authz, call("POST", "v1/render", region="tokyo-1\0"))
    assert not allowed(authz, call("POST", "v1/render", peer="spiffe://ui-tools/edge/tokyo-1\0"))


@pytest.mark.parametrize("issuer", ["edge/paris-1", "device/tokyo-1", "tokyo-1", "", None, "edge/tokyo-1/x"])
def test_no_place_attests_for_another(authz, issuer):
    """Every line is by the caller, role and name."""
    assert allowed(authz, call("POST", "v1/attestations", region="edge/tokyo-1"))
    assert not allowed(authz, call("POST", "v1/attestations", region=issuer))


def test_an_edge_acts_for_no_other_region(authz):
    """Consents and updates name a region or none, never somebody else's."""
    for region, expected in (("tokyo-1", True), ("", True), (None, True), ("paris-1", False)):
        assert allowed(authz, call("POST", "v1/consents", region=region)) is expected
        assert allowed(authz, call("POST", "federated-updates", region=region)) is expected


@pytest.mark.parametrize(
    "peer",
    [
        "spiffe://elsewhere/edge/tokyo-1",
        "spiffe://ui-tools.evil/edge/tokyo-1",
        "spiffe://UI-TOOLS/edge/tokyo-1",
        "SPIFFE://ui-tools/edge/tokyo-1",
        "spiffe:/ui-tools/edge/tokyo-1",
        "spiffe://ui-tools/edge",
        "spiffe://ui-tools/edge/",
        "spiffe://ui-tools//edge/tokyo-1",
        "spiffe://ui-tools/edge/tokyo-1/x",
        "edge/tokyo-1",
        "",
        None,
        ["spiffe://ui-tools/edge/tokyo-1"],
    ],
)
def test_any_other_id_is_denied(authz, peer):
    """Another domain, another form, another type."""
    assert allowed(authz, call("GET", "v1/edge-state", peer=peer)) is False


@pytest.mark.parametrize("place", [(), ("jwt",), ("request",), ("request", "payload"), ("mtls",)])
def test_a_field_more_or_less_is_denied(authz, place):
    """The input is exact at every level."""
    more, less = call("GET", "v1/edge-state"), call("GET", "v1/edge-state")
    inner_more, inner_less = more, less
    for step in place:
        inner_more, inner_less = inner_more[step], inner_less[step]
    inner_more["extra"] = 1
    inner_less.pop(next(iter(inner_less)))

    assert allowed(authz, more) is False
    assert allowed(authz, less) is False


@pytest.mark.parametrize(
    "path",
    [["v1/edge-state"], ["v1", "edge-state", ""], ["", "v1", "edge-state"], ["v1", ".", "edge-state"], "x", None, [7]],
)
def test_another_spelling_of_a_path_is_denied(authz, path):
    """Empty, dot and glued segments name no route."""
    request = {**call("GET", "v1/edge-state"), "path": path}

    assert allowed(authz, request) is False


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    ),
    field=st.sampled_from(["method", "path", "jwt", "request", "mtls"]),
)
def test_odd_input_is_denied(authz, value, field):
    """Whatever stands where a field should be."""
    assert allowed(authz, value) is False
    assert allowed(authz, {**call("POST", "v1/render"), field: value}) is False
