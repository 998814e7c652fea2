"""What a hostile or broken client may do to a listener: hold a little for a while, and change nothing."""

import asyncio
import contextlib
import gc
import json
import socket
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
import uvicorn

from consent_core.http import _uvicorn
from consent_core.http.bounded import MAX_HEAD_BYTES, MAX_HEAD_LINES, BoundedProtocol, RequestResponseCycle
from consent_core.http.listeners import Server
from consent_core.http.peer import PeerCertificateProtocol

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: cross-site\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n"
)


@dataclass
class Listener:
    """One application behind the protocol: it answers with the headers that it was given and the body's length."""

    port: int = 0
    begun: int = 0
    ended: list[str] = field(default_factory=list)
    wait_for_the_end: bool = False

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ended.append("disconnect")
                return
            length, more = length + len(message["body"]), message["more_body"]
        if self.wait_for_the_end:
            await receive()
            self.ended.append("disconnect")
            return
        await asyncio.sleep(0)
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        body = json.dumps({"headers": headers, "body": length}).encode()
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def served(protocol=BoundedProtocol, **settings):
    """A listener on a free port, until the block ends."""
    listener = Listener(**settings)
    config = uvicorn.Config(
        listener.app, http=protocol, proxy_headers=False, interface="asgi3", ws="none", lifespan="off", log_config=None
    )
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        listener.port = sock.getsockname()[1]
        serving = asyncio.create_task(server.serve([sock]))
        try:
            yield listener
        finally:
            server.should_exit = True
            await serving


async def sent(listener, data):
    """All that comes back for these bytes, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    read = b""
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        await writer.drain()
        read = await asyncio.wait_for(reader.read(), 120)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return read


def status(answer: bytes) -> int:
    """Of the first answer; the reset after a refusal may overtake it."""
    return int(answer.split(b" ")[1]) if answer else 400


HEADS = {
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "the same host twice": (b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400),
    "two hosts in 1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/0.9, named": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 400),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
    "one host": (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    "no host in 1.0": (b"GET / HTTP/1.0\r\n\r\n", 200),
    "the longest head": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"a" * (MAX_HEAD_BYTES - 100) + b"\r\n\r\n", 200,
    ),
    "a byte too long, complete": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n", 400),
    "too long, incomplete": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300_000, 400),
    "a long address": (b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "too many lines": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x:\r\n" * MAX_HEAD_LINES + b"\r\n", 400),
    "the second of two at once": (GET + b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n", 400),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("protocol", [BoundedProtocol, PeerCertificateProtocol])
def test_a_head_that_is_too_long_or_ambiguous_is_refused(name, protocol):
    """400 and the end of the connection; the application never hears of it."""
    data, expected = HEADS[name]

    async def scenario():
        async with served(protocol) as listener:
            return await sent(listener, data), listener.begun

    answer, begun = asyncio.run(scenario())

    assert status(answer) == expected
    assert begun == (1 if expected == 200 or name.startswith("the second") else 0)


@pytest.mark.parametrize("sent_at_once", [True, False])
def test_trailers_change_nothing(sent_at_once):
    """`Sec-Fetch-Site` or a country as a trailer never becomes a header, before or after the handler looked."""
    trailers = b"Sec-Fetch-Site: same-origin\r\nX-Country: US\r\nHost: evil\r\n\r\n"

    async def scenario():
        async with served() as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(CHUNKED + trailers if sent_at_once else CHUNKED)
            if not sent_at_once:
                await writer.drain()
                await asyncio.sleep(0.05)
                writer.write(trailers)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            writer.close()
            return json.loads(body)

    answer = asyncio.run(scenario())

    assert answer == {
        "headers": {"host": "x", "sec-fetch-site": "cross-site", "transfer-encoding": "chunked"},
        "body": 1,
    }


ENDLESS = {
    "trailers": CHUNKED + b"X-Trailer: value\r\n" * 200_000,
    "one trailer": CHUNKED + b"X-Trailer: " + b"a" * 4_000_000,
    "a chunk's extension": CHUNKED[:-3] + b"1;" + b"a" * 4_000_000,
    "a header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 4_000_000,
    "headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Header: value\r\n" * 200_000,
    "empty lines": b"\r\n" * 2_000_000,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_counted_and_cut_off(name):
    """Megabytes that are no body end the connection, whatever they are called."""

    async def scenario():
        async with served() as listener:
            answer = await sent(listener, ENDLESS[name])
            fine = await sent(listener, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return answer, fine

    answer, fine = asyncio.run(scenario())

    assert b" 200 " not in answer
    assert status(fine) == 200


LEFT = {
    "half a head": (GET[:-2], False),
    "half a body": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", False),
    "half of the trailers": (CHUNKED + b"X-Trailer: " + b"a" * 20_000, False),
    "too many trailers": (CHUNKED + b"X-Trailer: value\r\n" * 200_000, False),
    "an answer that does not come": (GET, True),
    "three such, pipelined": (GET * 3, True),
    "a refused head": (b"GET / HTTP/1.1\r\n\r\n", False),
    "an answered request": (GET, False),
}


@pytest.mark.parametrize("name", LEFT)
@pytest.mark.parametrize("reset", [False, True])
def test_after_a_disconnect_nothing_is_held(name, reset):
    """No connection, request or header list is left to the garbage collector: a POP is back at its memory."""
    data, waits = LEFT[name]

    async def scenario():
        async with served(wait_for_the_end=waits) as listener:
            gc.collect()
            gc.disable()
            try:
                for _ in range(5):
                    await leave(listener, data, reset)
                return await held_at_last()
            finally:
                gc.enable()

    assert asyncio.run(scenario()) == []


async def leave(listener, data, reset):
    """Send, wait a little, and go: in order, or by a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    if reset:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(data)
        await asyncio.wait_for(reader.read(1), 0.05)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def held_at_last():
    """What is still there once the server has noticed that everybody left."""
    kinds = (BoundedProtocol, RequestResponseCycle)
    for _ in range(3_000):
        held = [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds)]
        if not held:
            break
        await asyncio.sleep(0.02)
    return held


def test_an_attack_by_trailers_leaves_the_memory_as_it_was():
    """Eight connections of up to 8 MB each: the process has grown by less than 10 MiB afterwards."""

    async def scenario():
        async with served() as listener:
            process, data = psutil.Process(), CHUNKED + b"X-Trailer: value\r\n" * 450_000
            await leave(listener, data, reset=False)
            before = process.memory_info().rss
            for _ in range(8):
                await leave(listener, data, reset=False)
            await held_at_last()
            return (process.memory_info().rss - before) / 2**20

    assert asyncio.run(scenario()) < 10


@pytest.mark.parametrize("protocol", [BoundedProtocol, PeerCertificateProtocol])
def test_a_silent_connection_is_closed(protocol, monkeypatch):
    """Nothing at all, or half a head, is given up at the second look."""
    monkeypatch.setattr("consent_core.http.bounded.RECEIVE_S", 0.1)

    async def scenario():
        async with served(protocol) as listener:
            return [await sent(listener, data) for data in (b"", GET[:9], CHUNKED[:-3])]

    assert not any(b" 200 " in answer for answer in asyncio.run(scenario()))


def test_another_uvicorn_is_refused_at_import():
    """A name that went away is named; the installed one is what the package was written against."""
    _uvicorn.check_internals()
    lacking = {"on_header": (lambda self: self.other, ("headers",))}

    with pytest.raises(RuntimeError, match=r"lacks \{'on_header': \['headers'\]\}"):
        _uvicorn.check_internals(lacking)
