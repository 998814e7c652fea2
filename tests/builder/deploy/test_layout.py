"""A registry that answers what no client of ours pushed: each manifest must have the layout that was signed for."""

import json
from dataclasses import replace

import pytest

from builder.deploy.artefact import PROVENANCE_TYPE, SIGNATURE_TYPE, WASM_LAYER, Blob
from builder.deploy.reference import Reference
from builder.deploy.verify import verify
from consent_core.errors import Untrusted
from consent_core.formats.dsse import MAX_ENVELOPE_BYTES
from runtime_host.wasm.loading import MAX_COMPONENT_BYTES

DIGEST = "sha256:" + "0" * 64


class Answers:
    """What a registry answers: manifests and blobs by digest, and the list of referrers. `asked`: blobs fetched."""

    def __init__(self, component, referrers):
        self.manifests = {"1.0.0": component.manifest.content}
        self.manifests |= {one.digest: one.manifest.content for one in (component, *referrers)}
        self.blobs = {blob.digest: blob for one in (component, *referrers) for blob in one.blobs}
        self.listed = [one.descriptor() for one in referrers]
        self.asked = []

    def manifest(self, reference, limit=None):
        return self.manifests[reference]

    def referrers(self, _):
        return self.listed

    def blob(self, digest, size):
        self.asked.append(digest)
        content = self.blobs[digest].content
        return content if isinstance(content, bytes) else content.read_bytes()

    def download(self, digest, size, path):
        path.write_bytes(self.blob(digest, size))


def rewritten(artefact, change):
    """The same artefact with another manifest: `change` gets its value."""
    value = json.loads(artefact.manifest.content)
    change(value)
    return replace(artefact, manifest=Blob.of(artefact.manifest.media_type, json.dumps(value).encode()))


def code_of(answers, trust, tmp_path):
    with pytest.raises(Untrusted) as caught:
        verify(Reference.parse("127.0.0.1:5000/shop/edge_http:1.0.0"), trust, answers, now=0, revoked=frozenset(),
               out=tmp_path / "pulled")  # fmt: skip
    assert not (tmp_path / "pulled").exists() or list((tmp_path / "pulled").iterdir()) == []
    return caught.value.code, caught.value.message


def test_what_was_packed_is_taken(package, trust, tmp_path):
    """The answers of an honest registry, as a check of this test's own."""
    verify(Reference.parse("127.0.0.1:5000/shop/edge_http:1.0.0"), trust, Answers(package.component, package.referrers),
           now=0, revoked=frozenset(), out=tmp_path / "pulled")  # fmt: skip


COMPONENTS = {
    "an index": lambda value: value.update(mediaType="application/vnd.oci.image.index.v1+json"),
    "no media type": lambda value: value.pop("mediaType"),
    "a container's config": lambda value: value["config"].update(mediaType="application/vnd.oci.image.config.v1+json"),
    "a config that is a text": lambda value: value.update(config="application/vnd.wasm.config.v0+json"),
    "no config": lambda value: value.pop("config"),
    "no layer": lambda value: value.update(layers=[]),
    "two layers": lambda value: value.update(layers=value["layers"] * 2),
    "a layer of another type": lambda value: value["layers"][0].update(mediaType="application/octet-stream"),
    "a layer beyond the limit": lambda value: value["layers"][0].update(size=MAX_COMPONENT_BYTES + 1),
    "layers that are a number": lambda value: value.update(layers=7),
    "a layer that is a text": lambda value: value.update(layers=[WASM_LAYER]),
    "a layer without a size": lambda value: value["layers"][0].pop("size"),
    "a layer of negative size": lambda value: value["layers"][0].update(size=-1),
    "a size that is true": lambda value: value["layers"][0].update(size=True),
    "a size that is a text": lambda value: value["layers"][0].update(size="1"),
    "a digest of another form": lambda value: value["layers"][0].update(digest="md5:0"),
    "a digest that is a path": lambda value: value["layers"][0].update(digest="sha256:../../../etc/passwd"),
    "a type that is a number": lambda value: value["layers"][0].update(mediaType=7),
}


@pytest.mark.parametrize("change", COMPONENTS.values(), ids=COMPONENTS)
def test_a_component_of_another_layout_is_refused(change, package, trust, tmp_path):
    """Before one byte of it is fetched, and before its signature is asked for."""
    component = rewritten(package.component, change)
    answers = Answers(component, [rewritten(one, about(component)) for one in package.referrers])

    assert code_of(answers, trust, tmp_path)[0] == "deploy-layout"
    assert answers.asked == []


def about(component):
    return lambda value: value.update(subject=component.manifest.descriptor())


REFERRERS = {
    "about another component": lambda value: value["subject"].update(digest=DIGEST),
    "about nothing": lambda value: value.pop("subject"),
    "about a text": lambda value: value.update(subject=DIGEST),
    "of another type than listed": lambda value: value.update(artifactType=PROVENANCE_TYPE),
    "an index": lambda value: value.update(mediaType="application/vnd.oci.image.index.v1+json"),
    "without its manifest": lambda value: value["layers"].pop(),
    "with a third layer": lambda value: value["layers"].append(value["layers"][0]),
    "an envelope beyond the limit": lambda value: value["layers"][0].update(size=MAX_ENVELOPE_BYTES + 1),
    "a layer without a digest": lambda value: value["layers"][0].pop("digest"),
}


@pytest.mark.parametrize("change", REFERRERS.values(), ids=REFERRERS)
def test_a_signature_of_another_layout_is_none(change, package, trust, tmp_path):
    """A registry that lists it as one does not make it one."""
    referrers = [rewritten(one, change) if one.kind == SIGNATURE_TYPE else one for one in package.referrers]
    answers = Answers(package.component, referrers)

    assert code_of(answers, trust, tmp_path)[0] == "deploy-layout"


@pytest.mark.parametrize("layers", [0, 2])
def test_a_provenance_has_one_layer(layers, package, trust, tmp_path):
    """Only the signer says which one of several is meant."""
    referrers = [
        rewritten(one, lambda value: value.update(layers=value["layers"] * layers))
        if one.kind == PROVENANCE_TYPE
        else one
        for one in package.referrers
    ]

    code, message = code_of(Answers(package.component, referrers), trust, tmp_path)
    assert (code, "exactly one layer" in message) == ("deploy-layout", True)
