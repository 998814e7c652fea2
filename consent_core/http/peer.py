"""The client's certificate of a mesh connection, passed on by the ASGI TLS extension, which uvicorn does not.

Source: asgi.readthedocs.io, "TLS Extension" 0.2.
"""

import asyncio
import ssl

from consent_core.http.bounded import BoundedProtocol

TLS_1_3 = 0x0304


class PeerCertificateProtocol(BoundedProtocol):
    """The bounded protocol, with the peer certificate in `scope["extensions"]["tls"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Read the certificate once per connection; the handshake is complete."""
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        if connection is not None:
            self._extensions = {"tls": _tls_extension(connection)}


def _tls_extension(connection: ssl.SSLObject) -> dict[object, object]:
    der = connection.getpeercert(True)
    return {
        "server_cert": None,
        "client_cert_chain": () if der is None else (ssl.DER_cert_to_PEM_cert(der),),
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": TLS_1_3,
        "cipher_suite": None,
    }
