"""A development CA and forged certificates for tests of trust."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from consent_core.clock import SystemClock
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa, Svid, key_usage

POP = SpiffeId.of("ui-tools", "edge", "tokyo-1")


@dataclass
class Forgery:
    """What a forged leaf says; the defaults are those of a good one."""

    uris: tuple[str, ...] = (str(POP),)
    ca: bool | None = False
    usage: x509.KeyUsage | None = field(default_factory=lambda: key_usage(digital_signature=True))
    usage_critical: bool = True
    starts_in_s: int = -60
    ends_in_s: int = 3600


Forge = Callable[[Forgery], Svid]


@pytest.fixture
def ca(tmp_path: Path) -> DevelopmentCa:
    """A development CA for `ui-tools`."""
    return DevelopmentCa.open(tmp_path / "data", "ui-tools", create=True)


@pytest.fixture
def forge(ca: DevelopmentCa) -> Forge:
    """Leaves that the CA signed although it should not have."""
    return lambda forgery: _sign(ca, forgery)


def _sign(ca: DevelopmentCa, forgery: Forgery) -> Svid:
    key: EllipticCurvePrivateKey = generate_private_key(SECP256R1())
    now = SystemClock().now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_date(now + forgery.starts_in_s))
        .not_valid_after(_date(now + forgery.ends_in_s))
    )
    if forgery.uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in forgery.uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    if forgery.ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=forgery.ca, path_length=None), critical=True)
    if forgery.usage is not None:
        builder = builder.add_extension(forgery.usage, critical=forgery.usage_critical)
    leaf = builder.sign(ca._key, SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Svid((leaf,), pem, (ca.certificate,))


def _date(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
