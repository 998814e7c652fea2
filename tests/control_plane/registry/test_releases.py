"""Releases are baked the same everywhere, signed, and only ever go forward, also where they go back."""

import multiprocessing
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.clock import ManualClock
from consent_core.crash import arm
from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.base64_text import write_base64
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.dsse import sign_statement
from consent_core.formats.manifest import ComponentManifest, Limits, open_manifest
from consent_core.formats.release import RELEASE_TYPE, open_release, require_newer, sign_release
from consent_core.formats.template import baked, places_of, template_digest
from consent_core.policy.clauses import Clause
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import NO_LOG
from control_plane.registry.baking import Template, pack, unpack, verify, whole_bytes
from control_plane.registry.releases import Approved, Made, Releases

ANN = Approved("ann", Clause("policy-approval", "# Approval\n\nI answer for it.\n"))
DAY_S = 86_400


def weights(seed):
    draws = random.Random(seed)
    return {model: draws.randbytes(2048) for model in ("contextual", "behavioral")}


def component(seed, held):
    """Bytes with weights somewhere in them, as bytes and as text."""
    draws = random.Random(seed)
    parts = [part for row in held.values() for part in (row, write_base64(row).encode())]
    return b"".join(draws.randbytes(500) + part for part in parts) + draws.randbytes(99)


SEED = weights(0)
WASM, CWASM = component(1, SEED), component(2, SEED)
MANIFEST = ComponentManifest(
    name="personalization", world="edge-personalization", component=sha256_digest(WASM), compiled=sha256_digest(CWASM),
    engine="test", imports=(), exports=(), category=("contextual",), limits=Limits(64, 250), sources={}, lock="",
    tools={},
)  # fmt: skip
TEMPLATE = Template(MANIFEST, WASM, CWASM, (places_of(WASM, SEED), places_of(CWASM, SEED)))


@pytest.fixture
def releases(tmp_path):
    clock = ManualClock()
    return Releases(tmp_path / "releases", KeyStore.open(tmp_path, create=True, clock=clock), clock)


def refusal(call):
    with pytest.raises(ConsentEdgeError) as error:
        call()
    return error.value.code


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_baking_is_the_same_whatever_was_baked_before(one, other):
    """Template and weights alone say what comes out; the template's digest never changes."""
    once = baked(WASM, TEMPLATE.places[0], weights(one))
    twice = baked(baked(WASM, TEMPLATE.places[0], weights(other)), TEMPLATE.places[0], weights(one))

    assert once == twice == component(1, weights(one))
    assert template_digest(once, TEMPLATE.places[0]) == template_digest(WASM, TEMPLATE.places[0])


@pytest.mark.parametrize(
    "data", [b"", WASM + SEED["contextual"], WASM.replace(write_base64(SEED["behavioral"]).encode(), b"")]
)
def test_weights_that_lie_there_twice_or_never_make_no_template(data):
    """A second copy would go on deciding."""
    assert refusal(lambda: places_of(data, SEED)) == "release-template"


@pytest.mark.parametrize("held", [{}, {"contextual": bytes(2048)}, {**SEED, "behavioral": b"short"}])
def test_weights_that_do_not_fit_are_refused(held):
    """Every model, and each whole."""
    assert refusal(lambda: TEMPLATE.bake(held)) == "release-template"


def test_a_release_is_a_component_that_verifies(releases):
    """Signed as a component too, so that whatever loads components loads it; numbered within its day."""
    first, second = (releases.publish(TEMPLATE, Made.of_bytes(weights(n)), ANN) for n in (1, 2))

    assert (first.release, second.release) == ("model-v20270115.1", "model-v20270115.2")
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.parents == (first.release,)
    folder = releases.home / second.release
    trust = releases.keys.trust_file()
    manifest = open_manifest(
        (folder / "manifest.json").read_bytes(),
        (folder / "manifest.sig").read_bytes(),
        trust,
        releases.clock.now(),
        NO_LOG,
    )
    assert sha256_digest((folder / "personalization.wasm").read_bytes()) == manifest.component == second.component
    assert sha256_digest((folder / "personalization.cwasm").read_bytes()) == manifest.compiled
    assert releases.weights_of(second) == weights(2)


def test_a_release_is_baked_again_from_another_release(releases):
    """Offline: any component of the template will do."""
    first, second = (releases.publish(TEMPLATE, Made.of_bytes(weights(n)), ANN) for n in (1, 2))
    folder = releases.home / second.release
    files = [(folder / name).read_bytes() for name in ("personalization.wasm", "personalization.cwasm")]

    verify(first, *files, weights(1))
    assert refusal(lambda: verify(first, *files, weights(2))) == "release-digest"


def test_other_code_around_the_same_weights_is_refused(releases):
    """One changed byte outside the weights is another template."""
    release = releases.publish(TEMPLATE, Made.of_bytes(weights(1)), ANN)

    assert refusal(lambda: verify(release, b"\0" + WASM[1:], CWASM, weights(1))) == "release-template"
    assert refusal(lambda: verify(release, WASM, CWASM[:-1] + b"\0", weights(1))) == "release-template"


def test_a_downgrade_is_refused_while_a_compliance_rollback_succeeds(releases):
    """Both would serve the older weights; only the one that was published as such is taken."""
    first, second = (releases.publish(TEMPLATE, Made.of_bytes(weights(n)), ANN) for n in (1, 2))
    back = releases.roll_forward(first.release, TEMPLATE, ANN)
    now = releases.clock.now()

    assert refusal(lambda: require_newer(first, highest=second.epoch, now=now)) == "release-epoch"
    require_newer(back, highest=second.epoch, now=now)
    assert (back.component, back.weights, back.epoch) == (first.component, first.weights, 3)
    assert back.parents == (second.release, first.release)
    assert back.reason == "rollback"
    assert [release.epoch for release in releases.all()] == [1, 2, 3]


def test_a_release_is_refused_twice_out_of_date_or_withdrawn(releases):
    """The last good one stays."""
    release = releases.publish(TEMPLATE, Made.of_bytes(weights(1)), ANN)
    now = releases.clock.now()

    assert refusal(lambda: require_newer(release, 1, now)) == "release-epoch"
    assert refusal(lambda: require_newer(release, 0, now + 400 * DAY_S)) == "release-expired"
    assert refusal(lambda: require_newer(release, 0, now, frozenset({release.release}))) == "release-withdrawn"
    require_newer(release, 0, now + 400 * DAY_S - 1)


def test_weights_that_were_changed_on_disk_do_not_come_back(releases):
    """A rollback bakes what was signed, or nothing."""
    release = releases.publish(TEMPLATE, Made.of_bytes(weights(1)), ANN)
    (releases.home / release.release / "weights.bin").write_bytes(pack(weights(9)))

    assert refusal(lambda: releases.roll_forward(release.release, TEMPLATE, ANN)) == "release-digest"
    assert len(releases.all()) == 1


@pytest.mark.parametrize("name", ["model-v20990101.1", "../keys", "model-v20270115.0", ""])
def test_a_release_that_is_not_there_is_not_opened(releases, name):
    """Also where the name is a path."""
    assert refusal(lambda: releases.open(name)) == "release-unknown"


def test_another_key_signs_no_release(releases):
    """Not even one of ours with another role, and not a revoked one."""
    release = releases.publish(TEMPLATE, Made.of_bytes(weights(1)), ANN)
    trust, now = releases.keys.trust_file(), releases.clock.now()
    by_component = sign_release(release, releases.keys.current("component"))
    good = sign_release(release, releases.keys.current("release"))

    assert refusal(lambda: open_release(by_component, trust, now, NO_LOG)) == "release-signature"
    gone = frozenset({releases.keys.current("release").kid})
    assert refusal(lambda: open_release(good, trust, now, gone)) == "release-signature"
    assert open_release(good, trust, now, NO_LOG) == release


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"epoch": 0},
        {"epoch": "7"},
        {"release": "latest"},
        {"reason": "because"},
        {"parents": ["older"]},
        {"updates": ["sha256:00"]},
        {"updates": ["sha256:" + "0" * 64] * 2},
        {"component": "sha256:zz"},
        {"places": {"component": {}}},
        {"places": {"component": {"contextual": {"raw": -1, "text": 0}}, "compiled": {}}},
        {"approval": {"clause_id": "policy-approval"}},
        {"loss": 0.3},
    ],
)
def test_a_release_of_another_form_is_refused(releases, changes):
    """Although it is signed."""
    from consent_core.formats.canonical import canonical_json
    from consent_core.formats.release import _value

    release = releases.publish(TEMPLATE, Made.of_bytes(weights(1)), ANN)
    envelope = sign_statement(
        RELEASE_TYPE, canonical_json({**_value(release), **changes}), releases.keys.current("release")
    )
    assert (
        refusal(lambda: open_release(envelope, releases.keys.trust_file(), releases.clock.now(), NO_LOG))
        == "release-malformed"
    )


def test_places_beyond_the_end_are_refused(releases):
    """A signed release cannot make a baker write elsewhere."""
    release = releases.publish(TEMPLATE, Made.of_bytes(weights(1)), ANN)
    far = {model: replace(place, raw=len(WASM) - 9) for model, place in TEMPLATE.places[0].items()}
    with pytest.raises(Untrusted, match="beyond the component's end"):
        verify(replace(release, places=(far, TEMPLATE.places[1])), WASM, CWASM, weights(1))


def test_weights_of_another_length_are_no_weights():
    """`weights.bin` holds 2,048 bytes for each model."""
    assert unpack(pack(SEED), ("contextual", "behavioral")) == SEED
    assert refusal(lambda: unpack(pack(SEED)[:-1], ("contextual", "behavioral"))) == "release-digest"


def test_the_largest_weight_becomes_127():
    """One signed byte a weight; nothing learnt is all zero."""
    import numpy as np

    assert np.frombuffer(whole_bytes(np.array([0.5, -1.0, 0.25])), np.int8).tolist() == [64, -127, 32]
    assert whole_bytes(np.zeros(3)) == bytes(3)


def test_a_baker_that_was_killed_leaves_nothing_to_read(releases, monkeypatch):
    """The folder is complete before it has its name."""

    def die(self, target):
        raise OSError("no space")

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(OSError, match="no space"):
        releases.publish(TEMPLATE, Made.of_bytes(weights(1)), ANN)
    assert [path.name for path in releases.home.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("point", "kept"), [("release-baked", []), ("release-signed", []), ("release-published", ["model-v20270115.1"])]
)
def test_crash_while_publishing(releases, point, kept):
    """kill -9: a release is there whole or not at all, and the next one is numbered after what is there."""

    def publish_and_die():
        arm(point)
        releases.publish(TEMPLATE, Made.of_bytes(weights(1)), ANN)

    child = multiprocessing.get_context("fork").Process(target=publish_and_die)
    child.start()
    child.join()

    assert child.exitcode == -signal.SIGKILL
    assert [release.release for release in releases.all()] == kept
    following = releases.publish(TEMPLATE, Made.of_bytes(weights(2)), ANN)
    assert [release.release for release in releases.all()] == [*kept, following.release]
    assert following.release == f"model-v20270115.{len(kept) + 1}"
