"""ed25519 and es256 checks, held against RFC vectors and hostile keys."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected
from consent_core.trust.signatures import verify_signature

# RFC 8032 section 7.1, test 2.
ED_KEY = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
ED_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
# RFC 6979 section A.2.5, P-256 with SHA-256, message "sample".
EC_KEY = bytes.fromhex(
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
EC_SIGNATURE = bytes.fromhex(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)
GOOD = [("ed25519", ED_KEY, b"\x72", ED_SIGNATURE), ("es256", EC_KEY, b"sample", EC_SIGNATURE)]


@pytest.mark.parametrize("case", GOOD, ids=["RFC 8032", "RFC 6979"])
def test_published_vectors_verify(case: tuple[str, bytes, bytes, bytes]) -> None:
    """The vectors of the RFCs are accepted."""
    verify_signature(*case)


@pytest.mark.parametrize("case", GOOD, ids=["ed25519", "es256"])
@given(position=st.integers(0, 63), mask=st.integers(1, 255))
def test_one_changed_byte_is_refused(case: tuple[str, bytes, bytes, bytes], position: int, mask: int) -> None:
    """Every bit of a signature counts."""
    algorithm, key, message, signature = case
    altered = bytearray(signature)
    altered[position] ^= mask

    with pytest.raises(Rejected) as refusal:
        verify_signature(algorithm, key, message, bytes(altered))

    assert refusal.value.code == "token-signature"


@pytest.mark.parametrize(
    ("algorithm", "key", "signature"),
    [
        ("ed25519", ED_KEY, ED_SIGNATURE + b"\0"),
        ("ed25519", ED_KEY, b""),
        ("ed25519", ED_KEY[:31], ED_SIGNATURE),
        ("ed25519", EC_KEY, ED_SIGNATURE),
        ("es256", ED_KEY, EC_SIGNATURE),
        ("es256", EC_KEY[:33], EC_SIGNATURE),
        ("es256", b"\x04" + b"\1" * 64, EC_SIGNATURE),
        ("es256", EC_KEY, bytes(64)),
        ("es256", EC_KEY, bytes(32) + b"\xff" * 32),
        ("rsa", EC_KEY, EC_SIGNATURE),
        ("none", b"", bytes(64)),
    ],
)
def test_wrong_lengths_keys_and_algorithms_are_refused(algorithm: str, key: bytes, signature: bytes) -> None:
    """Nothing but a good signature returns."""
    with pytest.raises(Rejected) as refusal:
        verify_signature(algorithm, key, b"sample", signature)

    assert refusal.value.code == "token-signature"


def test_a_signature_has_one_spelling() -> None:
    """The same two numbers with a zero between them are 65 bytes, and none of ours."""
    with pytest.raises(Rejected) as refusal:
        verify_signature("es256", EC_KEY, b"sample", EC_SIGNATURE[:32] + b"\0" + EC_SIGNATURE[32:])

    assert refusal.value.code == "token-signature"


@pytest.mark.parametrize("message", [b"", b"anything at all"])
def test_a_key_of_small_order_signs_nothing(message: bytes) -> None:
    """The identity point "verifies" this signature over every message, and the library takes it."""
    identity = (1).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), message)

    with pytest.raises(Rejected) as refusal:
        verify_signature("ed25519", identity, message, identity + bytes(32))
    assert refusal.value.code == "token-signature"
