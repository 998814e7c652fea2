"""SPIRE as the source of a process's SVIDs, through the SPIFFE Workload API on a Unix socket.

Source: SPIFFE_Workload_API.md (github.com/spiffe/spiffe/standards): responses are complete replacements.
"""

import logging
import threading

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import TrustDomain, WorkloadApiClient
from spiffe.errors import PySpiffeError
from spiffe.workloadapi.x509_context import X509Context

from consent_core.clock import Clock
from consent_core.errors import ConsentEdgeError, Unavailable, Untrusted
from consent_core.trust.svid import Svid, check_certificate

logger = logging.getLogger(__name__)

FIRST_SVID_S = 10.0  # the Workload API answers in milliseconds; SPIRE's agent syncs every 5 s


class WorkloadApiSource:
    """SVIDs streamed by SPIRE. The stream's thread owns `_svid`; a response replaces everything before it."""

    def __init__(self, endpoint_socket: str, trust_domain: str, clock: Clock, timeout_s: float = FIRST_SVID_S) -> None:
        self._trust_domain, self._clock = trust_domain, clock
        self._first = threading.Event()
        self._svid: Svid | None = None
        self._failure: Exception | None = None
        try:
            self._client = WorkloadApiClient(endpoint_socket)
        except PySpiffeError as error:
            raise Unavailable("workload-api", f"no Workload API there: {error}") from error
        self._stream = self._client.stream_x509_contexts(self._received, self._failed)
        if not self._first.wait(timeout_s) or self._svid is None:
            self.close()
            raise Unavailable("workload-api", f"no SVID within {timeout_s} s") from self._failure

    def current(self) -> Svid:
        """The newest SVID received."""
        assert self._svid is not None  # who made this waited for the first one
        return self._svid

    def refresh(self) -> None:
        """SPIRE decides when; here only a stream that ended for good is started again."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self._stream = self._client.stream_x509_contexts(self._received, self._failed)
            raise Unavailable("workload-api", "the stream of SVIDs ended") from failure

    def close(self) -> None:
        """End the stream."""
        self._stream.cancel()
        self._client.close()

    def _received(self, context: X509Context) -> None:
        try:
            self._svid = _svid_of(context, self._trust_domain, self._clock.now())
            self._failure = None
            self._first.set()
        except ConsentEdgeError as error:  # keep the last good one
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        logger.warning("Workload API: %s", error)
        self._failure = error
        self._first.set()


def _svid_of(context: X509Context, trust_domain: str, now: int) -> Svid:
    """What SPIRE sent, in our own type and by our own rules."""
    received = context.default_svid
    check_certificate(received.leaf, trust_domain, now)
    bundle = context.x509_bundle_set.get_bundle_for_trust_domain(TrustDomain(trust_domain))
    if bundle is None or not bundle.x509_authorities:
        raise Untrusted("svid-malformed", f"SPIRE sent no authority for {trust_domain}")
    key = received.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Svid(tuple(received.cert_chain), key, tuple(bundle.x509_authorities))
