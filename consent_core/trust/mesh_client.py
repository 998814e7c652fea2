"""The one way a part calls another over the mesh: httpx with this process's newest SVID.

async with mesh_client(source, clock, "https://127.0.0.1:7443", role="control-plane") as client:
    await client.get("/v1/policy/bundle")
"""

import ssl

import httpx

from consent_core.clock import Clock
from consent_core.trust.svid_source import SvidSource
from consent_core.trust.tls import client_context, refusal_code

TIMEOUT_S = 10.0
STREAM_TIMEOUT_S = 30.0  # a long poll waits up to 20 s for its answer


class _MeshTransport(httpx.AsyncHTTPTransport):
    """Connections whose refusal by the other side's TLS is an ordinary `httpx.ConnectError` that says the code."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request; with TLS 1.3 a server's verdict on our certificate arrives while we wait for the answer."""
        try:
            return await super().handle_async_request(request)
        except ssl.SSLError as error:
            code = refusal_code(error) or "tls-handshake"
            raise httpx.ConnectError(f"the peer refused us: {code}", request=request) from error


def mesh_client(
    source: SvidSource, clock: Clock, base_url: str, *, role: str, name: str | None = None
) -> httpx.AsyncClient:
    """A client that talks only to `role` (and `name`) of our trust domain; `tls.refusal_code` reads its errors."""
    return httpx.AsyncClient(
        transport=_MeshTransport(verify=client_context(source, clock, role=role, name=name)),
        base_url=base_url,
        timeout=httpx.Timeout(TIMEOUT_S, read=STREAM_TIMEOUT_S),
        trust_env=False,
    )
