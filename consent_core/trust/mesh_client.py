"""The one way a part calls another over the mesh: httpx with this process's newest SVID.

async with mesh_client(source, clock, "https://127.0.0.1:7443", role="control-plane") as client:
    await client.get("/v1/policy/bundle")
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

from consent_core.clock import Clock
from consent_core.trust.failover import Failover, read_addresses
from consent_core.trust.svid import Svid
from consent_core.trust.svid_source import SvidSource
from consent_core.trust.tls import client_context, refusal_code

TIMEOUT_S = 10.0
STREAM_TIMEOUT_S = 30.0  # a long poll waits up to 20 s for its answer


class _Connections(httpx.AsyncHTTPTransport):
    """The connections made under one SVID. `busy`: requests whose answer has not been read to its end."""

    def __init__(self, svid: Svid, context: ssl.SSLContext) -> None:
        super().__init__(verify=context)
        self.svid = svid
        self.busy = 0


class _MeshTransport(httpx.AsyncBaseTransport):
    """Connections of the newest SVID; those of the one before are closed once nothing is under way on them.

    A connection shows for its whole life the certificate of its handshake: kept alive by traffic it would outlive it.
    A refusal by the other side's TLS is an ordinary `httpx.ConnectError` that says the code.
    """

    def __init__(self, source: SvidSource, context: ssl.SSLContext) -> None:
        self._source, self._context = source, context
        self._open: list[_Connections] = []  # the newest last

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request; with TLS 1.3 a server's verdict on our certificate arrives while we wait for the answer."""
        connections = await self._newest()
        connections.busy += 1
        try:
            response = await connections.handle_async_request(request)
        except BaseException as error:
            await self._done(connections)
            if isinstance(error, ssl.SSLError):
                code = refusal_code(error) or "tls-handshake"
                raise httpx.ConnectError(f"the peer refused us: {code}", request=request) from error
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Read(response.stream, lambda: self._done(connections))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        while self._open:
            await self._open.pop().aclose()

    async def _newest(self) -> _Connections:
        svid = self._source.current()
        if not self._open or self._open[-1].svid.chain != svid.chain:
            self._open.append(_Connections(svid, self._context))
            for older in self._open[:-1]:
                await self._close_if_idle(older)
        return self._open[-1]

    async def _done(self, connections: _Connections) -> None:
        connections.busy -= 1
        if self._open and connections is not self._open[-1]:
            await self._close_if_idle(connections)

    async def _close_if_idle(self, connections: _Connections) -> None:
        if not connections.busy and connections in self._open:
            self._open.remove(connections)
            await connections.aclose()


class _Read(httpx.AsyncByteStream):
    """The body of an answer, which says when it has been read or given up."""

    def __init__(self, stream: httpx.AsyncByteStream, done: Callable[[], Awaitable[None]]) -> None:
        self._stream, self._done = stream, done
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        """Called by httpx at the end of the body, and by a caller that gives it up."""
        if not self._closed:
            self._closed = True
            try:
                await self._stream.aclose()
            finally:
                await self._done()


def mesh_client(
    source: SvidSource, clock: Clock, base_url: str, *, role: str, name: str | None = None
) -> httpx.AsyncClient:
    """A client that talks only to `role` (and `name`) of our trust domain; `tls.refusal_code` reads its errors.

    `base_url`: one address, or several separated by commas: `failover`. Raises: ValueError for what is no address.
    """
    addresses = read_addresses(base_url)
    transport = _MeshTransport(source, client_context(source, clock, role=role, name=name))
    return httpx.AsyncClient(
        transport=Failover(transport, addresses),
        base_url=addresses[0],
        timeout=httpx.Timeout(TIMEOUT_S, read=STREAM_TIMEOUT_S),
        trust_env=False,
    )
