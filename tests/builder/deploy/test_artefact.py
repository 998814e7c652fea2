"""What is packed: the CNCF layout, provenance and bill of materials that other tools read."""

import base64
import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from builder.deploy.artefact import PROVENANCE_TYPE, SBOM_TYPE, pack
from builder.deploy.layout import blob_path, write_layout
from builder.deploy.release import open_release
from builder.deploy.sbom import bill_of_materials, dependencies_of
from consent_core.errors import Rejected
from consent_core.formats.canonical import sha256_digest
from tests.builder.deploy.releases import make_release
from tests.builder.deploy.test_registry import kind


def content(package, wanted):
    """The JSON of a referrer's one layer."""
    return json.loads(kind(package, wanted).blobs[1].content)


def test_the_component_has_the_cncf_wasm_layout(package, release):
    """Config and one layer by the media types that wasm hosts look for."""
    manifest = json.loads(package.component.manifest.content)
    config = json.loads(package.component.blobs[0].content)

    assert manifest["config"]["mediaType"] == "application/vnd.wasm.config.v0+json"
    assert [layer["mediaType"] for layer in manifest["layers"]] == ["application/wasm"]
    assert (config["architecture"], config["os"]) == ("wasm", "wasip2")
    assert config["layerDigests"] == [release.manifest.component]
    assert config["component"]["imports"] == list(release.manifest.imports)


def test_packing_twice_gives_the_same_bytes(package, release, store):
    """There is no time and no chance in it."""
    again = pack(release, (), store.current("component"), "1.0.0")

    assert [a.digest for a in (again.component, *again.referrers)] == [
        a.digest for a in (package.component, *package.referrers)
    ]


def test_a_layout_on_disk_is_complete(package, tmp_path):
    """Every descriptor of the index and of each manifest leads to a blob of that digest and size."""
    index = json.loads(write_layout(package, tmp_path, "edge_http").read_bytes())
    manifests = [json.loads(blob_path(tmp_path, entry["digest"]).read_bytes()) for entry in index["manifests"]]
    named = [*index["manifests"], *(d for m in manifests for d in (m["config"], *m["layers"]))]

    for descriptor in named:
        data = blob_path(tmp_path, descriptor["digest"]).read_bytes()
        assert (sha256_digest(data), len(data)) == (descriptor["digest"], descriptor["size"])
    assert json.loads((tmp_path / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "edge_http"}
    assert not list(tmp_path.rglob("*.partial"))


def test_provenance_is_slsa_v1_about_the_component(package, release):
    """Sources by digest, the builder, and the bill of materials it goes with."""
    envelope = content(package, PROVENANCE_TYPE)
    statement = json.loads(base64.b64decode(envelope["payload"]))

    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    [subject] = statement["subject"]
    assert f"sha256:{subject['digest']['sha256']}" == release.manifest.component
    [product] = statement["predicate"]["runDetails"]["byproducts"]
    assert f"sha256:{product['digest']['sha256']}" == kind(package, SBOM_TYPE).blobs[1].digest


def test_the_bill_of_materials_is_cyclonedx(tmp_path, store, trust):
    """By CycloneDX's own validator; it names files, packages and the interpreter inside."""
    sources = {"functions/edge_http/app.py": sha256_digest(b"x"), "wit/world.wit": sha256_digest(b"y")}
    release = open_release(make_release(tmp_path, store, sources=sources), trust, now=0, revoked=frozenset())
    text = bill_of_materials(release.manifest, ("idna==3.10",)).decode()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert {(entry["type"], entry["name"]) for entry in json.loads(text)["components"]} == {
        ("file", "functions/edge_http/app.py"), ("file", "wit/world.wit"),
        ("library", "idna"), ("library", "componentize-py"),
    }  # fmt: skip


def test_dependencies_come_from_the_sources_that_were_built(tmp_path, store, trust):
    """Sources that have changed since cannot say what is inside."""
    toml = (
        b'description = "d"\nworld = "w"\ndependencies = ["idna==3.10"]\n[limits]\nmemory_mib = 64\ndeadline_ms = 9\n'
    )
    function = tmp_path / "functions" / "edge_http"
    function.mkdir(parents=True)
    (function / "function.toml").write_bytes(toml)
    (function / "app.py").write_bytes(b"")
    sources = {"functions/edge_http/function.toml": sha256_digest(toml)}
    manifest = open_release(
        make_release(tmp_path / "b", store, sources=sources), trust, now=0, revoked=frozenset()
    ).manifest

    assert dependencies_of(manifest, tmp_path) == ("idna==3.10",)
    (function / "function.toml").write_bytes(toml + b"# later\n")
    with pytest.raises(Rejected) as caught:
        dependencies_of(manifest, tmp_path)
    assert caught.value.code == "deploy-sources"
