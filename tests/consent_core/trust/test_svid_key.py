"""The key of an SVID signs what its workload sends: one key, one name, one message."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from consent_core.errors import Untrusted
from consent_core.trust.svid import DevelopmentCa
from consent_core.trust.svid_key import SvidKey, SvidSigner

from .conftest import POP, _date

MESSAGE = b"an update of one week"


def test_what_the_svid_signed_verifies(ca: DevelopmentCa) -> None:
    """The signer of an SVID and the key of its leaf are one pair."""
    svid = ca.issue(POP)
    signer, key = SvidSigner.of(svid), SvidKey.of(svid.leaf)

    key.verify("edge", signer.kid, MESSAGE, signer.sign(MESSAGE), 0, frozenset())

    assert signer.kid == key.kid


@pytest.mark.parametrize("forged", ["name", "message", "key", "empty"])
def test_a_signature_that_is_not_of_this_svid_is_refused(ca: DevelopmentCa, forged: str) -> None:
    """Another key's name, another message, another SVID of the same workload, no signature."""
    svid, other = ca.issue(POP), SvidSigner.of(ca.issue(POP))
    signer, key = SvidSigner.of(svid), SvidKey.of(svid.leaf)
    kid = other.kid if forged == "name" else key.kid
    message = b"another" if forged == "message" else MESSAGE
    signature = {"key": other.sign(MESSAGE), "empty": b""}.get(forged, signer.sign(MESSAGE))

    with pytest.raises(Untrusted) as refusal:
        key.verify("edge", kid, message, signature, 0, frozenset())

    assert refusal.value.code == "svid-signature"


def test_a_leaf_of_another_curve_is_no_signer(ca: DevelopmentCa) -> None:
    """P-384 keys are valid in X.509, and not here."""
    private = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([])
    made = x509.CertificateBuilder(name, name, private.public_key(), 1, _date(-60), _date(60))

    with pytest.raises(Untrusted) as refusal:
        SvidKey.of(made.sign(private, SHA256()))

    assert refusal.value.code == "svid-signature"
