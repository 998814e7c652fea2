"""A secret and its two credentials."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.formats.session import credentials_of, stored, write_secret
from consent_core.formats.token import encode_base64url

RAW = bytes(range(32))


def derived(purpose: bytes) -> str:
    return encode_base64url(hmac.new(RAW, purpose, hashlib.sha256).digest())


def test_credentials_are_the_documented_functions_of_the_secret():
    """HMAC-SHA256 under the secret's bytes, one purpose each; stores hold SHA-256 of their characters."""
    made = credentials_of(write_secret(RAW).encode())

    assert made == (derived(b"consent-edge/session/grant/v1"), derived(b"consent-edge/session/withdraw/v1"), None)
    assert stored(made.grant) == hashlib.sha256(made.grant.encode()).hexdigest()


def test_a_legacy_secret_has_the_same_credentials_and_says_that_it_is_one():
    """So a record can move from the old hash to the new ones."""
    old = encode_base64url(RAW)

    assert credentials_of(old.encode()) == (*credentials_of(write_secret(RAW).encode())[:2], old)


@given(st.binary(max_size=100))
def test_any_cookie_value_is_somebodys_or_nobodys(value):
    """An attacker's choice of bytes raises nothing and meets no other secret's credentials."""
    made = credentials_of(value)

    assert made.grant != made.withdraw
    assert len(made.grant) == len(made.withdraw) == 43
    assert stored(made.grant) != stored(made.withdraw)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_secret_has_256_bits(length):
    with pytest.raises(ValueError, match="32 bytes"):
        write_secret(bytes(length))
