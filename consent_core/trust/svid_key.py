"""The key of a workload's SVID beyond TLS: it signs what the workload sends, so that who signs is who calls.

signer = SvidSigner.of(svid)                     # at the place
key = SvidKey.of(peer_certificate(scope))        # at the other end of the connection; a `dsse.Verifier`
"""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import sha256_digest
from consent_core.trust.signatures import verify_signature
from consent_core.trust.svid import Svid


@dataclass(frozen=True, slots=True)
class SvidKey:
    """A P-256 public key as SEC 1 bytes, as a verifier that knows this one key."""

    key: bytes

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "SvidKey":
        """The leaf's key. Raises: Untrusted("svid-signature") for one that is not P-256."""
        public = certificate.public_key()
        if not isinstance(public, EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise Untrusted("svid-signature", "expected a P-256 key", status=422)
        return cls(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    @property
    def kid(self) -> str:
        """How an envelope names it."""
        return f"svid-{sha256_digest(self.key)[7:23]}"

    def verify(self, role: str, kid: str, message: bytes, signature: bytes, now: int, revoked: frozenset[str]) -> None:
        """Raises: Untrusted("svid-signature"). Time and revocation of the certificate are the mesh guard's part."""
        try:
            if kid != self.kid:
                raise Rejected("token-signature", "another key is named")
            verify_signature("es256", self.key, message, signature)
        except Rejected as error:
            raise Untrusted("svid-signature", "not signed by this SVID's key", status=422) from error


@dataclass(frozen=True, slots=True)
class SvidSigner:
    """The same key's private half."""

    kid: str
    _private: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def of(cls, svid: Svid) -> "SvidSigner":
        """Raises: Untrusted("svid-signature") for an SVID whose key is not P-256."""
        private = load_pem_private_key(svid.key_pem, None)
        assert isinstance(private, EllipticCurvePrivateKey)  # as SvidKey.of says of the leaf
        return cls(SvidKey.of(svid.leaf).kid, private)

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes, r and s."""
        r, s = decode_dss_signature(self._private.sign(message, ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
