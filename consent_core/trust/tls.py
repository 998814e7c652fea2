"""TLS 1.3 contexts in which both sides show an SVID, and which take each handshake's own SVID from its source.

    uvicorn.Config(app, ssl_context_factory=lambda *_: server_context(source))
    httpx.AsyncClient(verify=client_context(source, clock, role="control-plane"))

A rotation changes the next handshake only: open connections go on, and `mesh.MeshGuard` ends them before their
certificate does. Host names mean nothing here: a client checks which workload answered.
"""

import os
import ssl
from collections.abc import Callable
from typing import Any

from cryptography import x509

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid import Svid, check_certificate
from consent_core.trust.svid_source import SvidSource

# What OpenSSL found wrong with a chain (`verify_code`) -> the code a mesh peer is refused with.
_VERIFY_CODES = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    26: "certificate-usage",
    79: "certificate-ca",
}
# The same as the other side hears it: TLS alerts by OpenSSL's names.
_REASONS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "no-certificate",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no-certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "certificate-expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "certificate-revoked",
    "SSLV3_ALERT_BAD_CERTIFICATE": "certificate-malformed",
    "TLSV1_ALERT_UNKNOWN_CA": "certificate-foreign-domain",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "certificate-usage",
}


class PeerRefusedError(ssl.SSLCertVerificationError):
    """The handshake was good, but the peer is not who we talk to. `code` says why."""

    def __init__(self, refusal: Rejected) -> None:
        super().__init__(1, f"{refusal.code}: {refusal.message}")
        self.code = refusal.code


_PeerCheck = Callable[[x509.Certificate], None]
_Refused = Callable[[str], None]


class _CheckedObject(ssl.SSLObject):
    """A TLS connection that asks `context.peer_check` once the handshake is done and before a byte is sent."""

    _refusal: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Shake hands, then look who it is. A refusing server lets its alert go out before the connection ends."""
        if self._refusal is not None:
            raise self._refusal
        try:
            super().do_handshake()
            self._check_peer()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if not self.server_side:
                raise
            self._settings.refused(refusal_code(error) or "tls-handshake")
            self._refusal = error
            raise ssl.SSLWantReadError from error  # event loops drop unsent bytes on an error, but flush before a read

    @property
    def _settings(self) -> "_SvidContext":
        assert isinstance(self.context, _SvidContext)
        return self.context

    def _check_peer(self) -> None:
        der = self.getpeercert(True)
        if self._settings.peer_check is not None and der is not None:
            self._settings.peer_check(x509.load_der_x509_certificate(der))


class _SvidContext(ssl.SSLContext):
    """A context made for one SVID."""

    sslobject_class = _CheckedObject
    peer_check: _PeerCheck | None = None
    refused: _Refused


class _RotatingContext(ssl.SSLContext):
    """The context that a server or client library holds: each connection is handed to the newest SVID's own.

    `_made` is owned by `wrap_bio`: the SVID and the context made for it, replaced together.
    """

    source: SvidSource
    server_side: bool
    peer_check: _PeerCheck | None
    refused: _Refused
    _made: tuple[Svid, _SvidContext] | None = None

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """One new connection, under the newest SVID."""
        return self.newest().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Not offered: a blocking socket would skip the check of the peer."""
        raise NotImplementedError("mesh connections are asynchronous")

    def newest(self) -> _SvidContext:
        """The context of the newest SVID."""
        svid, made = self.source.current(), self._made
        if made is None or made[0] is not svid:
            made = self._made = (svid, _context(svid, self))
        return made[1]


def server_context(source: SvidSource, refused: _Refused = lambda _: None) -> ssl.SSLContext:
    """A server that asks every client for a certificate of its own trust domain. `refused(code)` counts."""
    return _rotating(source, server_side=True, peer_check=None, refused=refused)


def client_context(source: SvidSource, clock: Clock, *, role: str, name: str | None = None) -> ssl.SSLContext:
    """A client that talks only to workloads of `role` (and `name`, if given) in its own trust domain."""

    def check(certificate: x509.Certificate) -> None:
        try:
            peer = check_certificate(certificate, source.current().spiffe_id.trust_domain, clock.now())
            _expect(peer, role, name)
        except Rejected as refusal:
            raise PeerRefusedError(refusal) from refusal

    return _rotating(source, server_side=False, peer_check=check, refused=lambda _: None)


def refusal_code(error: BaseException) -> str | None:
    """The code behind a failed mesh connection, if it was refused for its certificate and not for the network."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, PeerRefusedError):
            return seen.code
        if isinstance(seen, ssl.SSLCertVerificationError):
            return _VERIFY_CODES.get(seen.verify_code, "certificate-foreign-domain")
        if isinstance(seen, ssl.SSLError):
            return _REASONS.get(seen.reason or "")
        seen = seen.__cause__ or seen.__context__
    return None


def _expect(peer: SpiffeId, role: str, name: str | None) -> None:
    if peer.role != role or name not in (None, peer.name):
        raise Rejected(
            "certificate-other-peer", f"expected {role}/{name or '*'}, got {peer.role}/{peer.name}", status=403
        )


def _rotating(
    source: SvidSource, *, server_side: bool, peer_check: _PeerCheck | None, refused: _Refused
) -> ssl.SSLContext:
    context = _RotatingContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.source, context.server_side, context.peer_check, context.refused = source, server_side, peer_check, refused
    context.newest()  # fail at start, not at the first connection
    return context


def _context(svid: Svid, like: _RotatingContext) -> _SvidContext:
    context = _SvidContext(like.protocol)
    _harden(context)
    context.peer_check, context.refused = like.peer_check, like.refused
    context.load_verify_locations(cadata=svid.bundle_pem.decode("ascii"))
    handle = os.memfd_create("svid", os.MFD_CLOEXEC)  # `ssl` reads keys from files only, and this one never is on disk
    try:
        os.write(handle, svid.key_pem + svid.chain_pem)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    return context


def _harden(context: ssl.SSLContext) -> None:
    """TLS 1.3, a certificate from both sides, and no resumption: every connection proves its identity anew."""
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_TICKET
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
