"""What a machine with a code gets, and what a POP that has joined gets again before its certificate ends.

Trust: certificates are by the development CA of this data directory. Who reads `ca/key.pem` can be any workload.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from consent_core.audit.recording import current_context
from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.formats.enrolment import NONCE_BYTES, Enrolled, EnrolmentRequest, seal_answer
from consent_core.formats.token import decode_base64url, encode_base64url
from consent_core.trust.files import load_secret
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import DevelopmentCa, read_public_key
from consent_core.trust.trust_file import TrustFile
from control_plane.enrolment.invitations import Invitations

RENDITION_KEY = "rendition.key"  # in the data directory: all POPs of a deployment open each other's addresses


@dataclass(frozen=True, slots=True)
class Joining:
    """Issues identities of POPs. `ttl_s`: of their certificates; renewed at half of it."""

    data: Path
    invitations: Invitations
    trust: Callable[[], TrustFile]
    clock: Clock
    ttl_s: int

    def join(self, request: EnrolmentRequest) -> bytes:
        """The sealed answer to the holder of a code.

        Raises: Rejected("enrolment-refused" | "enrolment-key" | "enrolment-ca").
        """
        authority, public = self._authority(), request.public_key
        read_public_key(decode_base64url(public))  # a slip of the pen does not cost the code
        keys = self.invitations.use(request)
        current_context().say(enrolled=request.pop)
        chain, bundle = self._certify(authority, SpiffeId.of(authority.trust_domain, "edge", request.pop), public)
        secret = encode_base64url(load_secret(self.data / RENDITION_KEY))
        answer = Enrolled(chain, bundle, self.trust().to_bytes().decode("ascii"), secret)
        return seal_answer(answer, request, keys, secrets.token_bytes(NONCE_BYTES))

    def renew(self, peer: SpiffeId, public_key: str) -> tuple[str, str]:
        """The next certificate of a workload that shows its present one, and the authorities."""
        return self._certify(self._authority(), peer, public_key)

    def _certify(self, authority: DevelopmentCa, name: SpiffeId, public_key: str) -> tuple[str, str]:
        chain = authority.certify(read_public_key(decode_base64url(public_key)), name, self.ttl_s)
        return chain, authority.bundle_pem

    def _authority(self) -> DevelopmentCa:
        if not (self.data / "ca" / "key.pem").exists():
            raise Rejected(
                "enrolment-ca", "identities of this deployment come from SPIRE: register the POP there", status=409
            )
        return DevelopmentCa.open(self.data, self.trust().trust_domain, clock=self.clock)
