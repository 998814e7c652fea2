"""The token parser by itself: what it returns, in which order it refuses, and that no byte can be changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected
from consent_core.formats.token import (
    CATEGORIES,
    MAX_TOKEN_BYTES,
    REJECTIONS,
    Key,
    check_claims,
    decode_base64url,
    encode_base64url,
    find_key,
    parse,
    read_claims,
    validate,
)
from consent_core.trust.signatures import verify_signature
from tests.functions.tokens import (
    CASES,
    CLAIMS,
    EXPECTED,
    KEYS,
    NOW,
    Case,
    expected_claims,
    issued,
    with_claims,
    with_header,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
choices = st.lists(st.sampled_from(CATEGORIES), unique=True)


def _refusal(text: str, **change: Any) -> str:
    with pytest.raises(Rejected) as refusal:
        validate(text, change.get("keys", KEYS), change.get("expected", EXPECTED), verify_signature)
    return refusal.value.code


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_refused_with_its_own_code(case: Case) -> None:
    """Each bad token of the vector is refused for its own reason."""
    assert _refusal(case.token, keys=case.keys, expected=case.expected) == case.code


@given(
    scopes=choices,
    ver=st.integers(0, 2**53 - 1),
    lifetime=st.integers(1, 300),
    algorithm=st.sampled_from(("EdDSA", "ES256")),
)
def test_what_is_issued_is_read_back(scopes: list[str], ver: int, lifetime: int, algorithm: str) -> None:
    """Claim for claim, whatever a lawful issuer puts in."""
    claims = {"scopes": scopes, "ver": ver, "iat": NOW, "exp": NOW + lifetime}

    assert validate(issued(claims, algorithm), KEYS, EXPECTED, verify_signature) == expected_claims(claims)


@given(data=st.data(), algorithm=st.sampled_from(("EdDSA", "ES256")))
def test_no_byte_can_be_changed(data: st.DataObject, algorithm: str) -> None:
    """Any one byte replaced by any other: refused."""
    text = issued(algorithm=algorithm)
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(max_codepoint=0x2FF).filter(lambda drawn: drawn != text[place]))

    assert _refusal(text[:place] + character + text[place + 1 :]) in REJECTIONS


@given(data=st.data())
def test_no_byte_can_be_dropped_or_added(data: st.DataObject) -> None:
    """Shorter or longer by one character: refused."""
    text = issued()
    place = data.draw(st.integers(0, len(text) - 1))
    extra = data.draw(st.sampled_from("Aa0-_.= "))

    assert _refusal(text[:place] + text[place + 1 :]) in REJECTIONS
    assert _refusal(text[:place] + extra + text[place:]) in REJECTIONS


@given(text=st.text(max_size=200) | st.lists(st.binary(max_size=60).map(encode_base64url), max_size=4).map(".".join))
def test_only_our_errors_leave_the_parser(text: str) -> None:
    """Whatever is sent, the answer is a code of the format."""
    assert _refusal(text) in REJECTIONS


@given(name=st.sampled_from(sorted(CLAIMS)), value=json_values)
def test_a_claim_of_another_form_is_never_believed(name: str, value: Any) -> None:
    """Any JSON value in any claim either keeps the agreed form or is refused."""
    try:
        claims = validate(with_claims({name: value}), KEYS, EXPECTED, verify_signature)
    except Rejected:
        return
    kept = getattr(claims, name)
    assert (list(kept) if name == "scopes" else kept) == value
    assert type(value) is type(CLAIMS[name])


@given(header=st.dictionaries(st.sampled_from(("alg", "typ", "kid", "crit", "x5c")), json_values))
def test_a_header_of_another_form_is_never_believed(header: dict[str, Any]) -> None:
    """Any change to the header is refused before a key is looked at."""
    changed = {"alg": "EdDSA", "typ": "consent+jwt", "kid": "ed-1"} | header
    if changed != {"alg": "EdDSA", "typ": "consent+jwt", "kid": "ed-1"}:
        assert _refusal(with_header(header)) in REJECTIONS


def test_the_first_reason_counts() -> None:
    """Several faults at once give the code of the earliest check, so codes tell nothing about later ones."""
    codes = [
        _refusal("." * (MAX_TOKEN_BYTES + 1)),
        _refusal(with_header({"typ": "JWT", "alg": "none"})),
        _refusal(with_header({"alg": "none", "kid": "nobody"})),
        _refusal(with_header({"kid": "nobody"})[:-8] + "AAAAAAAA"),
        _refusal(with_claims({"extra": 1}, drop="jti")),
        _refusal(with_claims({"iss": "x", "exp": NOW - 1, "iat": NOW - 100})),
    ]

    assert codes == sorted(codes, key=REJECTIONS.index)
    assert codes == [
        "token-too-long",
        "token-typ",
        "token-alg-none",
        "token-kid",
        "token-claim-unknown",
        "token-issuer",
    ]


def test_nothing_is_believed_before_its_signature() -> None:
    """The key named by the header is asked before any claim is."""
    asked = []

    def verify(algorithm: str, key: bytes, message: bytes, signature: bytes) -> None:
        asked.append((algorithm, key, len(signature)))
        raise Rejected("token-signature")

    with pytest.raises(Rejected, match="token-signature"):
        validate(with_claims({"exp": "never"}), KEYS, EXPECTED, verify)
    assert asked == [("ed25519", KEYS[0].key, 64)]


def test_the_limit_is_characters_of_the_whole_text() -> None:
    """4,096 characters are looked at, one more is not."""
    assert _refusal("a" * MAX_TOKEN_BYTES) == "token-malformed"
    assert _refusal("a" * (MAX_TOKEN_BYTES + 1)) == "token-too-long"


def test_leeway_forgives_a_fast_issuer_but_never_an_expiry() -> None:
    """`leeway` moves the start, not the end."""
    claims = read_claims({**CLAIMS, "iat": NOW + 30, "exp": NOW + 60})

    check_claims(claims, EXPECTED._replace(leeway=30))
    with pytest.raises(Rejected, match="30 s early"):
        check_claims(claims, EXPECTED._replace(leeway=29))
    with pytest.raises(Rejected, match="0 s ago"):
        check_claims(claims, EXPECTED._replace(now=NOW + 60, leeway=3_600))


def test_a_key_is_for_one_algorithm() -> None:
    """The same id under another algorithm is a mismatch, not a second chance."""
    assert find_key(KEYS, "es-1", "es256") == KEYS[1]
    with pytest.raises(Rejected, match="the key is for es256"):
        find_key((*KEYS, Key("es-1", "ed25519", bytes(32))), "es-1", "ed25519")


def test_parsing_alone_returns_what_was_sent() -> None:
    """`parse` takes apart and checks form only."""
    token = parse(issued())

    assert token.claims == json.loads(json.dumps(CLAIMS))
    assert (token.algorithm, token.kid, len(token.signature)) == ("ed25519", "ed-1", 64)
    assert token.message.decode() == issued().rpartition(".")[0]


@given(st.binary(min_size=1, max_size=80))
def test_base64url_has_one_spelling(data: bytes) -> None:
    """Bytes round-trip; padding, or unused bits set, is refused."""
    text = encode_base64url(data)

    assert decode_base64url(text) == data
    with pytest.raises(Rejected, match="base64url"):
        decode_base64url(text + "=")
