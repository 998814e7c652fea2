"""X.509-SVIDs: a short-lived certificate that says which workload holds its key, and the rules a peer's must meet.

    ca = DevelopmentCa.open(Path(".edge"), "ui-tools", create=True)
    svid = ca.issue(SpiffeId.of("ui-tools", "edge", "tokyo-1"), ttl_s=3600)
    check_certificate(svid.leaf, "ui-tools", now) == svid.spiffe_id

The development CA is for one machine and for tests; SPIRE takes its place by the Workload API (`svid_source.py`).
Source: X509-SVID.md (github.com/spiffe/spiffe/standards) sections 2 to 5.
"""

import datetime
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consent_core.clock import Clock, SystemClock
from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.trust.files import PRIVATE, locked, write_atomically
from consent_core.trust.spiffe import SpiffeId

TTL_S = 3600  # as SPIRE's default for X.509-SVIDs
CA_TTL_S = 365 * 86_400
BACKDATED_S = 300  # a peer's clock may be this much behind: a POP whose clock is off says so, over the mesh


@dataclass(frozen=True, slots=True)
class Svid:
    """A certificate chain (leaf first), its private key as PEM, and the authorities of the trust domain."""

    chain: tuple[x509.Certificate, ...]
    key_pem: bytes
    bundle: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The workload's own certificate."""
        return self.chain[0]

    @property
    def spiffe_id(self) -> SpiffeId:
        """Whom the leaf names."""
        return spiffe_id_of(self.leaf)

    @property
    def chain_pem(self) -> bytes:
        """The chain as PEM, leaf first."""
        return _pem(self.chain)

    @property
    def bundle_pem(self) -> bytes:
        """The authorities as PEM."""
        return _pem(self.bundle)

    @property
    def half_life(self) -> float:
        """When to rotate, Unix seconds: half-way between the leaf's two dates."""
        return (lifetime(self.leaf)[0] + lifetime(self.leaf)[1]) / 2

    def write(self, directory: Path) -> None:
        """Put `cert.pem`, `key.pem` (0600) and `bundle.pem` into `directory`, seen together by `read`."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(directory):
            write_atomically(directory / "bundle.pem", self.bundle_pem)
            write_atomically(directory / "cert.pem", self.chain_pem)
            write_atomically(directory / "key.pem", self.key_pem, PRIVATE)

    @classmethod
    def of_pem(cls, chain: bytes, key: EllipticCurvePrivateKey, bundle: bytes) -> "Svid":
        """A certificate that somebody else made for our key. Raises: ValueError."""
        load = x509.load_pem_x509_certificates
        return cls(tuple(load(chain)), _key_pem(key), tuple(load(bundle)))

    @classmethod
    def read(cls, directory: Path) -> "Svid":
        """What `write` put there. Raises: Unavailable("svid-missing"), Untrusted("svid-malformed")."""
        try:
            with locked(directory):
                chain, key, bundle = ((directory / f"{name}.pem").read_bytes() for name in ("cert", "key", "bundle"))
        except OSError as error:
            raise Unavailable("svid-missing", f"no SVID in {directory.name}: {error.strerror}") from error
        try:
            read = cls(
                tuple(x509.load_pem_x509_certificates(chain)), key, tuple(x509.load_pem_x509_certificates(bundle))
            )
            matches = _private_key(key).public_key() == read.leaf.public_key()
        except ValueError as error:
            raise Untrusted("svid-malformed", f"the SVID in {directory.name} cannot be read") from error
        if not matches:
            raise Untrusted("svid-malformed", f"certificate and key in {directory.name} do not belong together")
        return read


class DevelopmentCa:
    """An authority for one trust domain on one machine: `ca/ca.pem`, `ca/key.pem` (0600) in the data directory.

    Trust in this store: a process that reads the key can be any workload. Not for production.
    """

    def __init__(self, certificate: x509.Certificate, key: EllipticCurvePrivateKey, domain: str, clock: Clock) -> None:
        self.certificate = certificate
        self.trust_domain = domain
        self._key = key
        self._clock = clock

    @classmethod
    def open(cls, data: Path, trust_domain: str, create: bool = False, clock: Clock | None = None) -> "DevelopmentCa":
        """The CA of a data directory. Raises: Unavailable("ca-missing"), Untrusted("ca-malformed")."""
        directory, clock = data / "ca", clock or SystemClock()
        if create:
            _create_ca(directory, trust_domain, clock.now())
        try:
            certificate, key = (directory / "ca.pem").read_bytes(), (directory / "key.pem").read_bytes()
        except OSError as error:
            raise Unavailable("ca-missing", f"no development CA here: {error.strerror}") from error
        try:
            return cls(x509.load_pem_x509_certificate(certificate), _private_key(key), trust_domain, clock)
        except ValueError as error:
            raise Untrusted("ca-malformed", "the development CA cannot be read") from error

    def issue(self, spiffe_id: SpiffeId, ttl_s: int = TTL_S) -> Svid:
        """A new key and a certificate for it, good for `ttl_s` seconds."""
        key = new_key()
        return Svid((self._certificate(key.public_key(), spiffe_id, ttl_s),), _key_pem(key), (self.certificate,))

    def certify(self, public: EllipticCurvePublicKey, spiffe_id: SpiffeId, ttl_s: int) -> str:
        """A certificate, as PEM, for a key that was made elsewhere: its holder is that workload from now on."""
        return _pem((self._certificate(public, spiffe_id, ttl_s),)).decode("ascii")

    @property
    def bundle_pem(self) -> str:
        """What its certificates are verified by."""
        return _pem((self.certificate,)).decode("ascii")

    def _certificate(self, public: EllipticCurvePublicKey, spiffe_id: SpiffeId, ttl_s: int) -> x509.Certificate:
        spiffe_id.member_of(self.trust_domain)
        now = self._clock.now()
        builder = _builder(public, self.certificate.subject, spiffe_id.name)
        builder = _valid(builder, now - min(BACKDATED_S, ttl_s // 10), now + ttl_s)
        builder = builder.add_extension(x509.SubjectAlternativeName([_uri(str(spiffe_id))]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        return builder.sign(self._key, SHA256())


def new_key() -> EllipticCurvePrivateKey:
    """A key for an SVID."""
    return generate_private_key(SECP256R1())


def public_der(key: EllipticCurvePrivateKey) -> bytes:
    """Its public half, as `read_public_key` reads it."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def read_public_key(der: bytes) -> EllipticCurvePublicKey:
    """A P-256 key. Raises: Rejected("enrolment-key") for anything else."""
    try:
        key = load_der_public_key(der)
    except ValueError as error:
        raise Rejected("enrolment-key", "expected a DER SubjectPublicKeyInfo") from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Rejected("enrolment-key", "expected a P-256 key")
    return key


def check_certificate(
    certificate: x509.Certificate, trust_domain: str, now: int, revoked: AbstractSet[str] = frozenset()
) -> SpiffeId:
    """Who holds a peer's leaf certificate, if every rule that TLS does not check again per request is met.

    `revoked` holds SPIFFE ids and `serial:<lower-case hex>`. The chain was verified by the TLS handshake.
    Raises: Rejected with `certificate-*`, `spiffe-*`.
    """
    _check_time(certificate, now)
    _check_usage(certificate)
    peer = spiffe_id_of(certificate)
    peer.member_of(trust_domain)
    if not revoked.isdisjoint((str(peer), serial_name(certificate))):
        raise Rejected("certificate-revoked", "this identity has been revoked", status=403)
    return peer


def serial_name(certificate: x509.Certificate) -> str:
    """How a revocation names one certificate."""
    return f"serial:{certificate.serial_number:x}"


def lifetime(certificate: x509.Certificate) -> tuple[int, int]:
    """The two dates as Unix seconds; both belong to the lifetime."""
    return int(certificate.not_valid_before_utc.timestamp()), int(certificate.not_valid_after_utc.timestamp())


def spiffe_id_of(certificate: x509.Certificate) -> SpiffeId:
    """The one URI a leaf carries. Raises: Rejected("certificate-uri" | "certificate-malformed" | "spiffe-id")."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    except (ValueError, x509.DuplicateExtension) as error:
        raise Rejected("certificate-malformed", "the extensions cannot be read", status=401) from error
    if len(uris) != 1:
        raise Rejected("certificate-uri", f"expected exactly one URI name, got {len(uris)}", status=401)
    return SpiffeId.parse(uris[0])


def key_usage(*, digital_signature: bool = False, cert_sign: bool = False) -> x509.KeyUsage:
    """The two uses that SVIDs know: a leaf signs handshakes, an authority signs certificates."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _check_time(certificate: x509.Certificate, now: int) -> None:
    begin, end = lifetime(certificate)
    if now < begin:
        raise Rejected("certificate-not-yet-valid", f"{begin - now} s early", status=401)
    if now > end:
        raise Rejected("certificate-expired", f"{now - end} s ago", status=401)


def _check_usage(certificate: x509.Certificate) -> None:
    """Section 5.2: a leaf is not an authority and may sign, and says so critically."""
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        authority = basic.ca
    except x509.ExtensionNotFound:
        authority = False
    except (ValueError, x509.DuplicateExtension) as error:
        raise Rejected("certificate-malformed", "the extensions cannot be read", status=401) from error
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound as error:
        raise Rejected("certificate-usage", "no key usage", status=401) from error
    if authority or usage.value.key_cert_sign or usage.value.crl_sign:
        raise Rejected("certificate-ca", "an authority's certificate is not a workload's", status=401)
    if not usage.critical or not usage.value.digital_signature:
        raise Rejected("certificate-usage", "expected the critical key usage digitalSignature", status=401)


def _create_ca(directory: Path, trust_domain: str, now: int) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(directory):
        if (directory / "ca.pem").exists():
            return
        key = generate_private_key(SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{trust_domain} development CA"[:64])])
        builder = _valid(_builder(key.public_key(), subject, subject), now - BACKDATED_S, now + CA_TTL_S)
        builder = builder.add_extension(x509.SubjectAlternativeName([_uri(f"spiffe://{trust_domain}")]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(key_usage(cert_sign=True), critical=True)
        write_atomically(directory / "key.pem", _key_pem(key), PRIVATE)
        write_atomically(directory / "ca.pem", _pem((builder.sign(key, SHA256()),)))


def _builder(public: CertificatePublicKeyTypes, issuer: x509.Name, subject: str | x509.Name) -> x509.CertificateBuilder:
    if isinstance(subject, str):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _valid(builder: x509.CertificateBuilder, begin: int, end: int) -> x509.CertificateBuilder:
    return builder.not_valid_before(_date(begin)).not_valid_after(_date(end))


def _date(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def _pem(certificates: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _private_key(pem: bytes) -> EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("expected an elliptic curve key")  # a value of the file, not of the caller
    return key
