"""Push, pull and verify through a real registry."""

import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from builder.deploy.artefact import (
    IMAGE_MANIFEST,
    NATIVE_TYPE,
    PROVENANCE_TYPE,
    SBOM_TYPE,
    SIGNATURE_TYPE,
    Artefact,
    Blob,
    Package,
    pack,
)
from builder.deploy.push import push
from builder.deploy.release import Release
from builder.deploy.verify import verify
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.dsse import sign_statement
from consent_core.formats.manifest import ComponentManifest
from consent_core.trust.keys import KeyStore
from tests.builder.deploy.releases import make_release

WASH = Path(sys.executable).parent / "wash"


def test_what_is_pushed_is_verified_and_pulled_whole(package, release, reference, registry, trust, tmp_path):
    """The files that arrive are those of the build, in a folder that a POP loads from."""
    pushed = push(package, reference, registry)
    verified = verify(pushed, trust, registry, out=tmp_path / "pulled", now=0, revoked=frozenset())

    assert verified.reference == pushed
    arrived = {path.name: path.read_bytes() for path in verified.directory.iterdir()}
    assert arrived == {path.name: path.read_bytes() for path in release.directory.iterdir()}


def test_pushing_again_changes_nothing(package, reference, registry):
    """The same release has the same digest, and each referrer is listed once."""
    first = push(package, reference, registry)
    listed = registry.referrers(first.digest)

    assert push(package, reference, registry) == first
    assert registry.referrers(first.digest) == listed
    assert len(listed) == len(package.referrers)


def refusal(reference, trust, registry, tmp_path):
    """The code `verify` refuses with; nothing may be left behind."""
    out = tmp_path / "pulled"
    with pytest.raises((Untrusted, Rejected)) as caught:
        verify(reference, trust, registry, out=out, now=0, revoked=frozenset())
    assert not out.exists() or list(out.iterdir()) == []
    return caught.value.code


def test_a_tampered_layer_is_refused(package, release, reference, registry, registry_server, trust, tmp_path):
    """Someone with access to the registry's disk changed one byte of the component."""
    pushed = push(package, reference, registry)
    blob = registry_server.blob(release.manifest.component)
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)

    assert refusal(pushed, trust, registry, tmp_path) == "deploy-layer"


def test_a_longer_layer_is_refused(package, reference, registry, registry_server, trust, tmp_path):
    """The manifest says how long the component is; more is not even written down."""
    pushed = push(package, reference, registry)
    blob = registry_server.blob(package.component.blobs[1].digest)
    blob.write_bytes(blob.read_bytes() + b"more")

    assert refusal(pushed, trust, registry, tmp_path) == "deploy-layer"


def test_another_component_behind_the_tag_is_refused(
    package, store, reference, registry, registry_server, trust, tmp_path
):
    """Consistent in itself, but nobody signed it: the attacker moved the good signature over to it."""
    push(package, reference, registry)
    other = Package(pack_of(tmp_path / "other", store, "other").component, ())
    moved = tuple(about(artefact, other.component) for artefact in package.referrers)

    assert refusal(push(Package(other.component, moved), reference, registry), trust, registry, tmp_path) == (
        "component-digest"
    )


def test_a_component_without_a_signature_is_refused(package, reference, registry, trust, tmp_path):
    """Provenance and a bill of materials do not make up for it."""
    without = Package(package.component, tuple(a for a in package.referrers if a.kind != SIGNATURE_TYPE))

    assert refusal(push(without, reference, registry), trust, registry, tmp_path) == "deploy-unsigned"


def test_a_component_signed_by_a_foreign_key_is_refused(package, reference, registry, tmp_path):
    """A good signature, by somebody whom this trust file does not name."""
    stranger = KeyStore.open(tmp_path, create=True).trust_file()

    assert refusal(push(package, reference, registry), stranger, registry, tmp_path) == "component-signature"


def test_a_key_of_another_role_does_not_count(tmp_path, store, reference, registry, trust):
    """A token key signs tokens."""
    component = pack_of(tmp_path / "built", store, "x", signer=store.current("token"))

    assert refusal(push(component, reference, registry), trust, registry, tmp_path) == "component-signature"


def test_an_import_that_the_trust_file_does_not_allow_is_refused(package, reference, registry, trust, tmp_path):
    """Signed by us, and still more than this verifier lets its world have."""
    narrower = replace(trust, allowed_imports={"edge-http": ("wasi:http",)})

    assert refusal(push(package, reference, registry), narrower, registry, tmp_path) == "component-imports"


def test_an_import_that_the_manifest_hides_is_refused(tmp_path, store, reference, registry, trust):
    """The component is parsed: what it really asks for counts, whatever was signed about it."""
    hidden = make_release(tmp_path / "b", store, imports=("wasi:sockets/tcp@0.2.0",), said_imports=())
    release = Release(hidden, ComponentManifest.from_bytes((hidden / "manifest.json").read_bytes()))
    package = pack(release, (), store.current("component"), "1.0.0")

    assert refusal(push(package, reference, registry), trust, registry, tmp_path) == "component-imports"


def test_another_manifest_than_the_digest_asked_for_is_refused(
    package, store, reference, registry, registry_server, trust, tmp_path
):
    """The registry answers a pull by digest with something else, signed all the same."""
    other = push(pack_of(tmp_path / "other", store, "other"), reference, registry)
    pushed = push(package, reference, registry)
    registry_server.blob(pushed.digest).write_bytes(registry_server.blob(other.digest).read_bytes())

    assert refusal(pushed, trust, registry, tmp_path) == "deploy-digest"


def test_provenance_about_another_component_is_refused(package, store, reference, registry, trust, tmp_path):
    """Signed by our key, about another build."""
    other = pack_of(tmp_path / "other", store, "other")
    swapped = (*kept(package, PROVENANCE_TYPE), about(kind(other, PROVENANCE_TYPE), package.component))

    assert refusal(push(Package(package.component, swapped), reference, registry), trust, registry, tmp_path) == (
        "deploy-provenance"
    )


@pytest.mark.parametrize(
    ("missing", "code"), [(PROVENANCE_TYPE, "deploy-provenance"), (SBOM_TYPE, "deploy-sbom")], ids=["prov", "sbom"]
)
def test_what_is_missing_beside_the_signature_is_refused(package, reference, registry, trust, tmp_path, missing, code):
    """No component without its origin and its contents."""
    pushed = push(Package(package.component, kept(package, missing)), reference, registry)

    assert refusal(pushed, trust, registry, tmp_path) == code


def test_another_bill_of_materials_is_refused(package, release, store, reference, registry, trust, tmp_path):
    """The provenance names the one it goes with."""
    other = pack(release, ("hidden==1.0",), store.current("component"), "1.0.0")
    swapped = (*kept(package, SBOM_TYPE), kind(other, SBOM_TYPE))

    assert refusal(push(Package(package.component, swapped), reference, registry), trust, registry, tmp_path) == (
        "deploy-sbom"
    )


def test_native_code_that_was_not_signed_is_refused(package, store, reference, registry, trust, tmp_path):
    """It runs unchecked, so it is the last thing to be believed."""
    other = kind(pack_of(tmp_path / "other", store, "other"), NATIVE_TYPE)
    swapped = (*kept(package, NATIVE_TYPE), about(other, package.component))

    assert refusal(push(Package(package.component, swapped), reference, registry), trust, registry, tmp_path) == (
        "component-digest"
    )


def test_a_bad_signature_beside_a_good_one_does_no_harm(package, store, reference, registry, trust, tmp_path):
    """Anybody who may push can add referrers; they cannot take the good one away."""
    stranger = KeyStore.open(tmp_path, create=True)
    foreign = kind(pack_of(tmp_path / "x", store, "", signer=stranger.current("component")), SIGNATURE_TYPE)
    push(Package(package.component, (about(foreign, package.component), *package.referrers)), reference, registry)

    assert verify(reference, trust, registry, now=0, revoked=frozenset()).reference.digest == package.component.digest


def test_a_good_signature_about_another_component_does_no_harm(package, store, reference, registry, trust, tmp_path):
    """It is passed over, and the right one further down counts."""
    other = kind(pack_of(tmp_path / "other", store, "other"), SIGNATURE_TYPE)
    push(Package(package.component, (about(other, package.component), *package.referrers)), reference, registry)

    assert verify(reference, trust, registry, now=0, revoked=frozenset()).reference.digest == package.component.digest


def test_another_of_our_components_is_refused(package, store, reference, registry, trust, tmp_path):
    """Signed by us and whole, but not what was asked for."""
    other = pack_of(tmp_path / "other", store, "", name="consent_validation")
    push(other, reference, registry)

    assert refusal(reference, trust, registry, tmp_path) == "deploy-name"
    assert (
        verify(reference, trust, registry, now=0, revoked=frozenset(), name="consent_validation").manifest.name
        == "consent_validation"
    )
    assert refusal(reference.at(other.component.digest), trust, registry, tmp_path) == "deploy-name"


def test_an_older_version_behind_a_newer_tag_is_refused(
    package, store, reference, registry, registry_server, trust, tmp_path
):
    """The registry moved the tag 1.1.0 back to 1.0.0; by its own tag and by digest the old one is still there."""
    old = push(package, reference, registry)
    newer = replace(reference, tag="1.1.0")
    push(pack_of(tmp_path / "new", store, "new", version="1.1.0"), newer, registry)
    assert verify(newer, trust, registry, now=0, revoked=frozenset()).reference != old
    registry_server.tag_link(reference.name.removeprefix("shop/"), "1.1.0").write_text(str(old.digest))

    assert refusal(newer, trust, registry, tmp_path) == "deploy-version"
    assert {verify(name, trust, registry, now=0, revoked=frozenset()).reference for name in (old, reference)} == {old}


@pytest.mark.parametrize("tag", ["latest", "stable", "main", "version"])
def test_a_tag_that_moves_is_refused(package, reference, registry, trust, tmp_path, tag):
    """It says nothing of which release is the older one."""
    moving = replace(reference, tag=tag)
    with pytest.raises(Rejected) as caught:
        push(package, moving, registry)

    assert caught.value.code == refusal(moving, trust, registry, tmp_path) == "deploy-reference"


def test_one_release_may_have_two_versions(package, release, store, reference, registry, trust):
    """Each tag has provenance of its own beside the other's."""
    push(package, reference, registry)
    again = replace(reference, tag="v2.0.0-rc.1")
    push(pack(release, (), store.current("component"), str(again.tag)), again, registry)

    verified = [verify(name, trust, registry, now=0, revoked=frozenset()) for name in (reference, again)]
    assert verified[0].reference == verified[1].reference


def test_sixty_four_bad_signatures_do_no_harm(package, store, reference, registry, trust, tmp_path):
    """They are listed first, and the good one behind them counts."""
    stranger = KeyStore.open(tmp_path, create=True)
    foreign = about(
        kind(pack_of(tmp_path / "x", store, "", signer=stranger.current("component")), SIGNATURE_TYPE),
        package.component,
    )
    registry.push_artefact(package.component, reference.tag)
    bogus = [spelled_otherwise(foreign, number) for number in range(64)]
    for artefact in bogus:
        registry.push_artefact(artefact)
    push(package, reference, registry)

    assert len(registry.referrers(package.component.digest)) == 64 + len(package.referrers)
    assert verify(reference, trust, registry, now=0, revoked=frozenset()).reference.digest == package.component.digest


def test_provenance_by_another_builder_is_refused(package, release, store, reference, registry, trust, tmp_path):
    """Our key, but not our way of building."""
    envelope = json.loads(kind(package, PROVENANCE_TYPE).blobs[1].content)
    statement = base64.b64decode(envelope["payload"]).replace(b"consent-edge:builder:v1", b"consent-edge:by-hand:v1")
    signed = sign_statement(envelope["payloadType"], statement, store.current("component"))
    swapped = (*kept(package, PROVENANCE_TYPE), with_layer(kind(package, PROVENANCE_TYPE), signed))

    assert refusal(push(Package(package.component, swapped), reference, registry), trust, registry, tmp_path) == (
        "deploy-provenance"
    )


def test_something_else_than_a_component_is_refused(package, reference, registry, trust, tmp_path):
    """A bill of materials is no component, whoever signed it."""
    pushed = push(package, reference, registry)
    sbom = kind(package, SBOM_TYPE)

    assert refusal(pushed.at(sbom.digest), trust, registry, tmp_path) == "deploy-layout"


def test_an_artefact_that_is_not_there(reference, registry, trust, tmp_path):
    """A clear no."""
    assert refusal(reference, trust, registry, tmp_path) == "deploy-missing"


def test_a_pull_replaces_the_folder_as_a_whole(package, store, reference, registry, trust, tmp_path):
    """An older release gives way; a refused one leaves it alone."""
    out = tmp_path / "components"
    verify(
        push(pack_of(tmp_path / "old", store, "old"), reference, registry),
        trust,
        registry,
        out=out,
        now=0,
        revoked=frozenset(),
    )
    verified = verify(push(package, reference, registry), trust, registry, out=out, now=0, revoked=frozenset())

    assert sorted(path.name for path in out.iterdir()) == ["edge_http"]
    assert (verified.directory / "manifest.json").read_bytes() == json_of(package)


def test_wash_pulls_what_we_push(package, release, reference, registry, tmp_path):
    """wasmCloud's own client reads the artefact: the layout is the common one."""
    pushed = push(package, reference, registry)
    target = tmp_path / "pulled.wasm"
    subprocess.run(
        [WASH, "oci", "pull", "--insecure", str(pushed), str(target)],
        check=True, capture_output=True, cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip

    assert target.read_bytes() == release.component.read_bytes()


def pack_of(directory, store, note, signer=None, name="edge_http", version="1.0.0"):
    """Another release, packed: differing by a note inside, signed by another key if one is given."""
    keys = store if signer is None else SimpleNamespace(current=lambda _role: signer)
    place = make_release(directory, keys, name=name, note=note, imports=("wasi:io/error@0.2.0",))
    release = Release(place, ComponentManifest.from_bytes((place / "manifest.json").read_bytes()))
    return pack(release, (), store.current("component"), version)


def kind(package, wanted):
    """The referrer of one kind."""
    return next(artefact for artefact in package.referrers if artefact.kind == wanted)


def kept(package, without):
    """All referrers but those of one kind."""
    return tuple(artefact for artefact in package.referrers if artefact.kind != without)


def about(artefact, subject):
    """The same referrer, about another component."""
    value = json.loads(artefact.manifest.content) | {"subject": subject.manifest.descriptor()}
    return Artefact(artefact.kind, Blob.of(IMAGE_MANIFEST, json.dumps(value).encode()), artefact.blobs)


def spelled_otherwise(artefact, number):
    """The same referrer under another digest."""
    value = json.loads(artefact.manifest.content) | {"annotations": {"number": str(number)}}
    return replace(artefact, manifest=Blob.of(IMAGE_MANIFEST, json.dumps(value).encode()))


def with_layer(artefact, data):
    """The same referrer with other bytes in its one layer."""
    layer = Blob.of(artefact.blobs[1].media_type, data)
    value = json.loads(artefact.manifest.content) | {"layers": [layer.descriptor()]}
    manifest = Blob.of(IMAGE_MANIFEST, json.dumps(value).encode())
    return Artefact(artefact.kind, manifest, (artefact.blobs[0], layer))


def json_of(package):
    """The component manifest that goes along with the signature."""
    return kind(package, SIGNATURE_TYPE).blobs[2].content
