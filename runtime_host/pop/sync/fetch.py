"""Requests to the control plane: capped in time and size, with one meaning for everything that can go wrong."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from consent_core.errors import Unavailable
from consent_core.trust.tls import refusal_code

MAX_SMALL_BYTES = 65_536  # answers that are not the log or a bundle
OUT_OF_TIME = frozenset({"certificate-not-yet-valid", "certificate-expired"})
RETRYABLE = frozenset({401, 403, 408, 425, 429})  # an identity being rotated, or a busy server


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `body` is complete."""

    status: int
    headers: httpx.Headers
    body: bytes


class ControlPlane:
    """The control plane as one POP reaches it. `client`: base URL and identity are its business."""

    def __init__(self, client: httpx.AsyncClient, timeout_s: float) -> None:
        self.client = client
        self._timeout_s = timeout_s

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int | Mapping[int, int] = MAX_SMALL_BYTES,
    ) -> Reply:
        """GET. `limit`: most bytes of a body, or most per status.

        Raises: Unavailable("control-plane-unreachable" | "mesh-out-of-time" | "control-plane-failed" |
        "control-plane-oversize").
        """
        return await self._ask(self.client.build_request("GET", path, params=params, headers=headers), limit)

    async def send(
        self, method: str, path: str, body: bytes, kind: str = "application/json", limit: int = MAX_SMALL_BYTES
    ) -> Reply:
        """Send a body of this content type. `limit`: most bytes of the answer. Raises: as `get`."""
        headers = {"content-type": kind}
        return await self._ask(self.client.build_request(method, path, content=body, headers=headers), limit)

    async def delete(self, path: str, headers: Mapping[str, str]) -> Reply:
        """DELETE. Raises: as `get`."""
        return await self._ask(self.client.build_request("DELETE", path, headers=headers), MAX_SMALL_BYTES)

    async def _ask(self, request: httpx.Request, limit: int | Mapping[int, int]) -> Reply:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self.client.send(request, stream=True)
                try:
                    return await _read(response, limit)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise _unanswered(error) from error


def _unanswered(error: Exception) -> Unavailable:
    """A certificate that does not count *now* is a matter of clocks, or of a CA that renews nothing."""
    refused = refusal_code(error)
    if refused in OUT_OF_TIME:
        return Unavailable("mesh-out-of-time", f"{refused}: compare this clock with the control plane's")
    return Unavailable("control-plane-unreachable", f"no answer: {type(error).__name__}")


async def _read(response: httpx.Response, limit: int | Mapping[int, int]) -> Reply:
    status = response.status_code
    if status >= 500 or status in RETRYABLE:
        raise Unavailable("control-plane-failed", f"the control plane answered {status}")
    most = limit if isinstance(limit, int) else limit.get(status, MAX_SMALL_BYTES)
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise Unavailable("control-plane-oversize", f"an answer of more than {most} bytes")
    return Reply(status, response.headers, bytes(body))
