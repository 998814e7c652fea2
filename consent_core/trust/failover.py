"""Several addresses of one party: the next one where one does not answer.

    transport = Failover(inner, ["https://10.0.0.1:7443", "https://10.0.0.2:7443"])

A request that reached no address (no connection) is sent to the next address at once, each address once. One that was
sent and then got no answer may have had its effect: it fails, and what follows it goes to the next address; repeating
it is its sender's decision. The address that answered last is asked first, so that streams and polls of one process
stay at one party.
"""

from collections.abc import Sequence

import httpx

SEPARATOR = ","


def read_addresses(text: str) -> tuple[str, ...]:
    """Base URLs out of one text, separated by commas. Raises: ValueError for one that is no https:// or http:// URL."""
    addresses = tuple(part.strip().rstrip("/") for part in text.split(SEPARATOR))
    for address in addresses:
        url = httpx.URL(address)
        if url.scheme not in ("https", "http") or not url.host or url.path not in ("", "/"):
            raise ValueError(f"control_plane: expected https://host:port, or several with commas, not {address!r}")
    return addresses


class Failover(httpx.AsyncBaseTransport):
    """Sends each request to one of several addresses. `inner`: makes the connections."""

    def __init__(self, inner: httpx.AsyncBaseTransport, addresses: Sequence[str]) -> None:
        self._inner = inner
        self._addresses = [httpx.URL(address) for address in addresses]
        self._preferred = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the first address that can be reached."""
        for _ in self._addresses[1:]:
            asked = self._preferred
            try:
                return await self._send(request, asked)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(request, self._preferred)

    async def _send(self, request: httpx.Request, asked: int) -> httpx.Response:
        address = self._addresses[asked]
        request.url = request.url.copy_with(scheme=address.scheme, host=address.host, port=address.port)
        request.headers["Host"] = address.netloc.decode("ascii")
        try:
            return await self._inner.handle_async_request(request)
        except httpx.TransportError:
            if asked == self._preferred:  # else another request has turned away from it already
                self._preferred = (asked + 1) % len(self._addresses)
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()
