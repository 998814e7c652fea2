"""How a POP and its render process talk over a socket pair: one byte for the kind, four for the length, the bytes."""

import struct
from asyncio import StreamReader
from socket import socket

HEAD = struct.Struct("!cI")
READY, JOB, DONE, FAILED = b"R", b"J", b"D", b"F"
MAX_FRAME = 64_000_000  # bytes; the largest rendition is a tenth of it

Frame = tuple[bytes, bytes]  # kind, payload


def send(end: socket, kind: bytes, payload: bytes = b"") -> None:
    """Write one frame, waiting until the other end takes it."""
    end.sendall(pack(kind, payload))


def receive(end: socket) -> Frame | None:
    """The next frame; None once the other end is gone."""
    head = _exactly(end, HEAD.size)
    if head is None:
        return None
    kind, length = HEAD.unpack(head)
    payload = _exactly(end, length)
    return None if payload is None else (kind, payload)


async def read(reader: StreamReader) -> Frame:
    """The next frame. Raises: EOFError, also for one that no render process sends."""
    kind, length = HEAD.unpack(await reader.readexactly(HEAD.size))
    if length > MAX_FRAME:
        raise EOFError(f"a frame of {length} bytes")
    return kind, await reader.readexactly(length)


def pack(kind: bytes, payload: bytes) -> bytes:
    """One frame as bytes."""
    return HEAD.pack(kind, len(payload)) + payload


def _exactly(end: socket, length: int) -> bytes | None:
    data = bytearray()
    while len(data) < length:
        chunk = end.recv(min(length - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
    return bytes(data)
