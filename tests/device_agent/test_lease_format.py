"""The lease on the wire: one spelling, signed, and never longer than a day."""

import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_core.errors import Untrusted
from consent_core.formats.jws import sign_jws
from consent_core.formats.lease import TYP, open_lease, sign_lease
from consent_core.formats.token import decode_base64url
from tests.device_agent.leases import GOOD, NOW, lease


class Key:
    """A signer of its own."""

    kid = "log-0011223344556677"

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(b"k" * 32)

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


KEY = Key()


def verify(kid: str, message: bytes, signature: bytes) -> None:
    """By the one key there is."""
    try:
        KEY.private.public_key().verify(signature, message)
    except InvalidSignature as error:
        raise Untrusted("trust-signature", "bad") from error


def payload(**changes):
    """The good lease's members with changes; `...` takes one away."""
    value = json.loads(decode_base64url(sign_lease(GOOD, KEY).split(".")[1])) | changes
    return {name: item for name, item in value.items() if item is not ...}


@pytest.mark.parametrize("good", [GOOD, lease(categories=(), erased=True), lease(delete_at=NOW)])
def test_a_lease_comes_back_as_it_was_signed(good):
    """What is signed is what is read."""
    assert open_lease(sign_lease(good, KEY), verify) == good


@pytest.mark.parametrize(
    "changes",
    [
        {"decide_until": NOW + 86_401},
        {"delete_at": NOW + 86_400, "decide_until": NOW + 86_399},
        {"delete_at": NOW - 1},
        {"at": NOW + 86_401},
        {"poll_s": 0},
        {"poll_s": 3_601},
        {"poll_s": True},
        {"erased": True},
        {"erased": 1},
        {"categories": ["contextual", "contextual"]},
        {"categories": ["everything"]},
        {"device": "../tokyo-1"},
        {"device": ""},
        {"subject": "A" * 64},
        {"nonce": "short"},
        {"policy_hash": "sha256:1"},
        {"releases": {"model": "1"}},
        {"releases": {"a/b": "sha256:" + "1" * 64}},
        {"releases": {str(n): "sha256:" + "1" * 64 for n in range(65)}},
        {"ver": -1},
        {"share": "c2hhcmU"},
        {"delete_at": ...},
    ],
)
def test_what_is_not_a_lease_is_refused(changes):
    """A member more, less or of another form, and an end beyond a day."""
    with pytest.raises(Untrusted) as refusal:
        open_lease(sign_jws(TYP, payload(**changes), KEY), verify)
    assert refusal.value.code == "lease-malformed"


def test_a_token_of_another_kind_is_no_lease():
    """A receipt's type over a lease's payload is refused."""
    with pytest.raises(Untrusted, match="typ"):
        open_lease(sign_jws("consent-receipt+jwt", payload(), KEY), verify)


def test_a_flipped_signature_is_refused():
    """The signature is checked before anything is believed."""
    text = sign_lease(GOOD, KEY)
    flipped = text[:-5] + ("A" if text[-5] != "A" else "B") + text[-4:]
    with pytest.raises(Untrusted) as refusal:
        open_lease(flipped, verify)
    assert refusal.value.code == "trust-signature"
