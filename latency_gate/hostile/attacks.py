"""What a hostile client does to one POP, until it is ended. Each connection repeats one thing as fast as it is served.

    python -m latency_gate.hostile.attacks PORT forged-tokens TOKEN

The attacker is a process of its own at low priority, so that it does not measure itself.
"""

import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

HOST = "127.0.0.1"
CONNECTIONS = 32
PAUSE_S = 0.02  # after a connection that the POP ended
CHUNK = b"x" * 65_536
NICE = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A POP's public port. `token`: a good one, to be forged."""

    port: int
    token: str


Act = Callable[[Target, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", f"Host: {HOST}", *headers, "", "")).encode("latin-1")


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> None:
    """Read one answer with a length, or until the POP hangs up."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))


async def trailers(_: Target, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A chunked body whose trailers do not end."""
    head = f"POST /v1/vitals HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    await _send(writer, head.encode())
    while True:
        await _send(writer, b"X-%s: " % secrets.token_hex(4).encode() + CHUNK + b"\r\n")


async def endless_head(_: Target, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head of headers that does not end."""
    await _send(writer, f"GET / HTTP/1.1\r\nHost: {HOST}\r\n".encode())
    while True:
        await _send(writer, b"X-A: " + CHUNK + b"\r\n")


async def silence(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half a head, and then nothing until the POP hangs up."""
    await _send(writer, b"GET / HTTP/1.1\r\nHo")
    await reader.read()


async def forged_tokens(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The right key id and a random signature, another one each time."""
    signed = target.token.rpartition(".")[0]
    while True:
        forged = f"{signed}.{secrets.token_urlsafe(64)}"
        await _send(writer, _get("/v1/slots/home-hero", f"Cookie: __Host-consent-token={forged}"))
        await _answer(reader)


async def long_densities(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Header values that would be keys of a cache, long and never twice the same."""
    while True:
        value = secrets.token_hex(8) + "9" * 30_000
        await _send(writer, _get("/v1/images/home-hero", f"DPR: {value}", f"If-None-Match: {value}"))
        await _answer(reader)


async def streams(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Open a stream, hear it for a moment, hang up."""
    await _send(writer, _get("/v1/consent/stream"))
    await reader.read(1)
    await asyncio.sleep(0.2)


async def never_twice(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pages, paths and parameters that no request named before."""
    while True:
        await _send(writer, _get(f"/v1/slots/home-hero?path=/{secrets.token_hex(16)}&section={secrets.token_hex(16)}"))
        await _answer(reader)


ATTACKS: dict[str, Act] = {
    "trailers": trailers,
    "endless-head": endless_head,
    "silence": silence,
    "forged-tokens": forged_tokens,
    "long-densities": long_densities,
    "streams": streams,
    "never-twice": never_twice,
}


async def attack(target: Target, act: Act, connections: int = CONNECTIONS) -> None:
    """So many connections at once, each made again when it ends, until cancelled."""
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_again(target, act))


async def _again(target: Target, act: Act) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection(HOST, target.port)
            try:
                await act(target, reader, writer)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # refused or cut off, as it should be
        await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    os.nice(NICE)
    asyncio.run(attack(Target(int(sys.argv[1]), sys.argv[3]), ATTACKS[sys.argv[2]]))
