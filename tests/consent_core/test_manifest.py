"""The component manifest: one spelling, read strictly, signed together with the files it names."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.dsse import IN_TOTO, Statement, sign_statement
from consent_core.formats.manifest import PREDICATE_TYPE, ComponentManifest, Limits, open_manifest, sign_manifest
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import KeyStore

DIGEST = "sha256:" + "ab" * 32
MANIFEST = ComponentManifest(
    name="personalization",
    world="edge-personalization",
    component="sha256:" + "01" * 32,
    compiled="sha256:" + "02" * 32,
    engine="wasmtime 50.0.1; x86_64-unknown-linux-gnu; epoch interruption; wide arithmetic",
    imports=(),
    exports=("consent-edge:functions/personalization@0.1.0",),
    category=("contextual", "behavioral"),
    limits=Limits(64, 250),
    sources={"functions/personalization/app.py": DIGEST},
    lock=DIGEST,
    tools={"componentize-py": "0.25.1"},
)
texts = st.text(max_size=20)
digests = st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}")
manifests = st.builds(
    ComponentManifest,
    name=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    world=texts,
    component=digests,
    compiled=digests,
    engine=texts,
    imports=st.lists(texts, max_size=3).map(tuple),
    exports=st.lists(texts, max_size=3).map(tuple),
    category=st.lists(st.sampled_from(CATEGORIES), unique=True).map(tuple),
    limits=st.builds(Limits, st.integers(13, 4096), st.integers(1, 60_000)),
    sources=st.dictionaries(texts, digests, max_size=3),
    lock=st.just("") | digests,
    tools=st.dictionaries(texts, texts, max_size=3),
    steps=st.lists(texts, max_size=3).map(tuple),
)
WRONG: dict[str, dict[str, Any]] = {
    "another version": {"version": 2},
    "a field too many": {"extra": 1},
    "name is a path": {"name": "../personalization"},
    "name in capitals": {"name": "Personalization"},
    "digest of another kind": {"component": "md5:" + "0" * 32},
    "digest in capitals": {"compiled": DIGEST.upper()},
    "imports is a text": {"imports": "wasi:http"},
    "unknown category": {"category": ["everything"]},
    "no memory": {"limits": {"memory_mib": 0, "deadline_ms": 250}},
    "no end": {"limits": {"memory_mib": 64, "deadline_ms": 10**9}},
    "limits are true": {"limits": {"memory_mib": True, "deadline_ms": True}},
    "a limit too many": {"limits": {"memory_mib": 64, "deadline_ms": 250, "fuel": 1}},
    "sources without digests": {"sources": {"app.py": "?"}},
    "lock is a path": {"lock": "requirements.lock"},
    "tools is a list": {"tools": []},
    "steps is a text": {"steps": "link"},
    "steps is missing": {"steps": None},
    "world is missing": {"world": None},
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    directory: Path = tmp_path_factory.mktemp("keys")
    return KeyStore.open(directory, create=True)


@given(manifests)
def test_bytes_and_back(manifest: ComponentManifest) -> None:
    """What is written is read back equal, and written again the same."""
    data = manifest.to_bytes()

    assert ComponentManifest.from_bytes(data) == manifest
    assert canonical_json(json.loads(data)) == data


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_another_form_is_refused(change: dict[str, Any]) -> None:
    """Nothing is guessed, nothing is ignored."""
    value = {**json.loads(MANIFEST.to_bytes()), **change}

    with pytest.raises(Untrusted) as refusal:
        ComponentManifest.from_bytes(canonical_json(value))

    assert refusal.value.code == "component-manifest"


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"name":1,"name":2}', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    """With our own error, whatever the bytes."""
    with pytest.raises(Untrusted) as refusal:
        ComponentManifest.from_bytes(data)

    assert refusal.value.code == "json-malformed"


def test_a_signed_manifest_opens(keys: KeyStore) -> None:
    """Signed by the component key, opened with the trust file."""
    envelope = sign_manifest(MANIFEST, keys.current("component"))

    assert open_manifest(MANIFEST.to_bytes(), envelope, keys.trust_file(), now=0, revoked=frozenset()) == MANIFEST


@given(data=st.data())
def test_no_byte_of_the_manifest_can_be_changed(keys: KeyStore, data: st.DataObject) -> None:
    """One byte replaced anywhere: refused."""
    good = MANIFEST.to_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda drawn: drawn != good[place]))
    envelope = sign_manifest(MANIFEST, keys.current("component"))

    with pytest.raises(Untrusted):
        open_manifest(
            good[:place] + bytes([value]) + good[place + 1 :], envelope, keys.trust_file(), now=0, revoked=frozenset()
        )


@given(data=st.data())
def test_no_byte_of_the_signature_can_be_changed(keys: KeyStore, data: st.DataObject) -> None:
    """One byte replaced anywhere: refused."""
    good = sign_manifest(MANIFEST, keys.current("component"))
    place = data.draw(st.integers(0, len(good) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda drawn: drawn != good[place]))

    with pytest.raises(Untrusted):
        open_manifest(
            MANIFEST.to_bytes(),
            good[:place] + bytes([value]) + good[place + 1 :],
            keys.trust_file(),
            now=0,
            revoked=frozenset(),
        )


@pytest.mark.parametrize("role", ["bundle", "release", "log", "token"])
def test_only_a_component_key_may_sign(keys: KeyStore, role: str) -> None:
    """A key of another role of the same deployment does not count."""
    with pytest.raises(Untrusted, match="no component key"):
        open_manifest(
            MANIFEST.to_bytes(),
            sign_manifest(MANIFEST, keys.current(role)),
            keys.trust_file(),
            now=0,
            revoked=frozenset(),
        )


def test_what_is_not_signed_is_not_even_read(keys: KeyStore) -> None:
    """Bytes that the signature is not about never reach the parser."""
    envelope = sign_manifest(MANIFEST, keys.current("component"))

    with pytest.raises(Untrusted) as refusal:
        open_manifest(b"not a manifest", envelope, keys.trust_file(), now=0, revoked=frozenset())

    assert refusal.value.code == "component-statement"


def test_a_signature_over_other_files_is_refused(keys: KeyStore) -> None:
    """The statement names the manifest's digest but another component."""
    good = Statement.from_bytes(_payload(sign_manifest(MANIFEST, keys.current("component"))), PREDICATE_TYPE)
    other = replace(good, subjects={**good.subjects, "personalization.wasm": DIGEST})
    envelope = sign_statement(IN_TOTO, other.to_bytes(), keys.current("component"))

    with pytest.raises(Untrusted, match="name different files"):
        open_manifest(MANIFEST.to_bytes(), envelope, keys.trust_file(), now=0, revoked=frozenset())


def _payload(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])
