"""Envelopes: the type is part of what is signed, and one byte decides."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Untrusted
from consent_core.formats.dsse import IN_TOTO, Statement, open_statement, pre_authentication_encoding, sign_statement
from consent_core.trust.keys import KeyStore

DIGEST = "sha256:" + "a" * 64


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore.open(tmp_path_factory.mktemp("data"), create=True)


def test_encoding_is_that_of_the_specification() -> None:
    """The vector of the DSSE protocol page."""
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")

    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(payload=st.binary(max_size=300))
def test_round_trip(store: KeyStore, payload: bytes) -> None:
    """What was signed comes out."""
    envelope = sign_statement(IN_TOTO, payload, store.current("component"))

    assert open_statement(envelope, IN_TOTO, store.trust_file(), "component", now=0, revoked=frozenset()) == payload


def test_the_es256_role_signs_too(store: KeyStore) -> None:
    """Both algorithms fit the envelope."""
    envelope = sign_statement("text/plain", b"x", store.current("bundle"))

    assert open_statement(envelope, "text/plain", store.trust_file(), "bundle", now=0, revoked=frozenset()) == b"x"


def test_another_type_is_refused(store: KeyStore) -> None:
    """A payload cannot be read as something it was not signed as, even if the label is rewritten."""
    envelope = sign_statement("text/plain", b"{}", store.current("component"))
    relabelled = envelope.replace(b"text/plain", IN_TOTO.encode())

    with pytest.raises(Untrusted) as refusal:
        open_statement(envelope, IN_TOTO, store.trust_file(), "component", now=0, revoked=frozenset())
    assert refusal.value.code == "dsse-type"
    with pytest.raises(Untrusted) as refusal:
        open_statement(relabelled, IN_TOTO, store.trust_file(), "component", now=0, revoked=frozenset())
    assert refusal.value.code == "trust-signature"


def test_another_role_is_refused(store: KeyStore) -> None:
    """A release key does not sign components."""
    envelope = sign_statement(IN_TOTO, b"{}", store.current("release"))

    with pytest.raises(Untrusted) as refusal:
        open_statement(envelope, IN_TOTO, store.trust_file(), "component", now=0, revoked=frozenset())

    assert refusal.value.code == "trust-key-unknown"


@given(data=st.data())
def test_one_changed_byte_is_refused(store: KeyStore, data: st.DataObject) -> None:
    """Any other byte anywhere in the envelope fails (mutate one, must fail)."""
    envelope = bytearray(sign_statement(IN_TOTO, b'{"k":1}', store.current("component")))
    position = data.draw(st.integers(0, len(envelope) - 1))
    envelope[position] ^= data.draw(st.integers(1, 255))

    with pytest.raises(Untrusted):
        open_statement(bytes(envelope), IN_TOTO, store.trust_file(), "component", now=0, revoked=frozenset())


@pytest.mark.parametrize(
    "change",
    [
        {"signatures": []},
        {"signatures": [{"keyid": "k"}]},
        {"signatures": [{"keyid": 1, "sig": "AA=="}]},
        {"signatures": [{"keyid": "k", "sig": "AB=="}]},
        {"signatures": [{"keyid": "k", "sig": "A A="}]},
        {"signatures": [{"keyid": "k", "sig": None}]},
        {"signatures": [{"keyid": "k", "sig": "AA=="}] * 17},
        {"payload": None},
        {"payload": "_-8="},
        {"extra": 1},
    ],
)
def test_malformed_envelopes_are_refused(store: KeyStore, change: dict[str, object]) -> None:
    """Missing, doubled or misspelt parts are refused before any signature is checked."""
    envelope = json.loads(sign_statement(IN_TOTO, b"{}", store.current("component")))

    with pytest.raises(Untrusted) as refusal:
        open_statement(
            json.dumps({**envelope, **change}).encode(),
            IN_TOTO,
            store.trust_file(),
            "component",
            now=0,
            revoked=frozenset(),
        )

    assert refusal.value.code == "dsse-malformed"


def test_one_known_signature_among_several_is_enough(store: KeyStore) -> None:
    """A co-signer that this verifier does not know changes nothing."""
    envelope = json.loads(sign_statement(IN_TOTO, b"{}", store.current("component")))
    envelope["signatures"].insert(0, {"keyid": "unknown", "sig": base64.b64encode(b"x" * 64).decode()})

    payload = open_statement(
        json.dumps(envelope).encode(), IN_TOTO, store.trust_file(), "component", now=0, revoked=frozenset()
    )

    assert payload == b"{}"


def test_statement_round_trip() -> None:
    """Subjects and predicate survive, sorted by name."""
    statement = Statement({"b": DIGEST, "a": DIGEST}, "https://example.test/p/v1", {"x": [1]})

    assert Statement.from_bytes(statement.to_bytes(), "https://example.test/p/v1") == statement


@pytest.mark.parametrize(
    "payload",
    [
        {"_type": "v0"},
        {"subject": {}},
        {"subject": [{"name": "a"}]},
        {"subject": [{"name": "a", "digest": {"sha256": "zz"}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "a" * 64}}] * 2},
        {"predicateType": "other"},
        {"predicate": []},
        {"extra": 1},
    ],
)
def test_malformed_statements_are_refused(payload: dict[str, object]) -> None:
    """Only the in-toto form is read."""
    value = json.loads(Statement({"a": DIGEST}, "p", {}).to_bytes())

    with pytest.raises(Untrusted) as refusal:
        Statement.from_bytes(json.dumps({**value, **payload}).encode(), "p")

    assert refusal.value.code == "statement-malformed"


def test_a_rotated_key_opens_old_envelopes(store: KeyStore, tmp_path: Path) -> None:
    """Without a time the signature alone counts: an archive stays readable after rotation."""
    old = KeyStore.open(tmp_path, create=True)
    envelope = sign_statement(IN_TOTO, b"{}", old.current("component"))
    old.rotate("component", overlap_s=0)

    assert open_statement(envelope, IN_TOTO, old.trust_file(), "component", now=0, revoked=frozenset()) == b"{}"
