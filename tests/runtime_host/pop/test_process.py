"""A POP as a process: real sockets, an orderly end, and no client that can fill its memory."""

import asyncio
import contextlib
import gc
import os
import signal
import weakref

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from consent_core.http.bounded import MAX_HEAD_BYTES, _write
from runtime_host.pop.process.listeners import serve
from tests.runtime_host.pop.edge import TOKEN_COOKIE


@pytest.fixture
def served(edge):
    """Settings with free ports, and a way to run a client against the public listener until it is done."""
    object.__setattr__(edge.pop.config, "public_port", 0)
    object.__setattr__(edge.pop.config, "admin_port", 0)
    edge.pop.start = lambda: asyncio.sleep(0)  # in sync already, by the fixture
    closed = edge.pop.stop

    async def stop():
        edge.pop.stop = lambda: asyncio.sleep(0)
        await closed()

    edge.pop.stop = stop

    def against(client):
        async def both():
            ports = asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(serve(edge.pop, started=ports.set_result))
            public, _ = await ports
            try:
                return await client(public)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.wait_for(serving, 60)

        return both()

    return against


async def talk(port, data, until=b"\r\n\r\n"):
    """Send bytes, read until `until` or the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    read = b""
    try:
        writer.write(data)
        while until not in read:
            chunk = await reader.read(65_536)
            if not chunk:
                break
            read += chunk
    except ConnectionError:
        pass
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return read


def test_a_request_over_a_socket(served, run):
    """The listener answers, with a date and without naming its software."""
    reply = run(served(lambda port: talk(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"true}")))

    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ndate: " in reply
    assert b"\r\nserver: " not in reply


def test_sigterm_ends_streams_and_the_process(served, edge, run):
    """An open stream does not hold the process back: it is ended, complete."""

    async def client(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/consent/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"retry: 1000\n\n")
        return asyncio.create_task(to_the_end(reader, writer))

    async def to_the_end(reader, writer):
        rest = await reader.read()
        writer.close()
        await writer.wait_closed()
        return rest

    rest = run(served(client))

    assert run(within(rest)).endswith(b"0\r\n\r\n")


async def within(task):
    return await asyncio.wait_for(task, 60)


def test_a_token_of_60_kilobytes_gets_the_default_over_a_socket(served, run):
    """Its own code, and the next request on the same listener is fine."""
    huge = b"GET /v1/slots/home-hero HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"a" * 60_000 + b"\r\n\r\n"

    async def client(port):
        cookie = f"GET /v1/slots/home-hero HTTP/1.1\r\nHost: x\r\nCookie: {TOKEN_COOKIE}=".encode()
        return (
            await talk(port, huge, b'"default"}'),
            await talk(port, cookie + b"a" * 60_000 + b"\r\n\r\n", b'"default"}'),
            await talk(port, b"GET /v1/slots/home-hero HTTP/1.1\r\nHost: x\r\n\r\n", b'"default"}'),
        )

    replies = run(served(client))

    assert [reply.split(b" ")[1] for reply in replies] == [b"200"] * 3
    assert [b"consent-edge-code: token-too-long" in reply for reply in replies] == [True, True, False]


@pytest.mark.parametrize("what", ["one header", "many headers", "the address"])
def test_a_request_head_without_end_is_cut_off(served, run, what):
    """400 and a closed connection once it is longer than any browser's."""
    begin = b"GET /%s HTTP/1.1\r\nHost: x\r\n"
    filler = {
        "one header": begin % b"" + b"X: " + b"a" * (MAX_HEAD_BYTES + 100_000),
        "many headers": begin % b"" + b"x-header: value\r\n" * (MAX_HEAD_BYTES // 16),
        "the address": begin % (b"a" * (MAX_HEAD_BYTES + 100_000)),
    }[what]

    async def client(port):
        cut = await talk(port, filler)
        fine = await talk(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return cut, fine

    cut, fine = run(served(client))

    assert cut == b"" or cut.startswith(b"HTTP/1.1 400")  # the reset may overtake the answer
    assert fine.startswith(b"HTTP/1.1 200")


def test_whole_answers_keep_to_http(served, run):
    """Pipelined requests are answered in order, HEAD without a body, and `Connection: close` ends the connection."""
    get = b"GET /v1/slots/home-hero HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"HEAD /v1/slots/home-hero HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    async def client(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get + head + get + last)
        everything = await reader.read()
        writer.close()
        return everything

    answers = run(served(client)).split(b"HTTP/1.1 200 OK\r\n")[1:]
    heads, bodies = zip(*(answer.split(b"\r\n\r\n", 1) for answer in answers), strict=True)

    assert len(answers) == 4
    assert bodies[0] == bodies[2] != b""
    assert bodies[1] == b""
    assert bodies[3] == b'{"ok":true}'
    assert [b"content-length: %d" % len(body) in head for head, body in zip(heads, bodies, strict=True)] == [
        True, False, True, True,
    ]  # fmt: skip
    assert b"date: " in heads[0]
    assert b"connection: close" in heads[3]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
        b"POST /v1/consent HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_a_request_that_never_ends_is_given_up(served, run, monkeypatch, sent):
    """However it drips; who has asked and is silent afterwards keeps the connection."""

    async def client(port):
        kept_reader, kept = await asyncio.open_connection("127.0.0.1", port)
        kept.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = await asyncio.wait_for(kept_reader.readuntil(b"true}"), 60)  # before the time is so short
        monkeypatch.setattr("consent_core.http.bounded.RECEIVE_S", 0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        ended = await asyncio.wait_for(reader.read(), 60)
        await asyncio.sleep(0.3)
        kept.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers += await asyncio.wait_for(kept_reader.read(), 60)
        writer.close()
        kept.close()
        return ended, answers

    ended, answers = run(served(client))

    assert b"200" not in ended
    assert answers.count(b"HTTP/1.1 200 OK") == 2


def test_a_request_that_the_end_of_the_process_cuts_off_is_told_to_ask_again(served, run, monkeypatch):
    """503 with a code, which every client repeats; a 500 reads like a defect."""
    monkeypatch.setattr("runtime_host.pop.process.listeners.GRACE_S", 0.1)
    head = b"POST /v1/consent HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
    half = head + b"Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n\r\n{"

    async def client(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(half)
        await talk(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return asyncio.create_task(to_the_end(reader, writer))

    async def to_the_end(reader, writer):
        answer = await reader.read()
        writer.close()
        return answer

    answer = run(within(run(served(client))))

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"consent-edge-code: stopping\r\n" in answer


def test_an_answered_request_leaves_nothing_to_the_garbage_collector(served, run):
    """What a request needed goes with it: collecting garbage costs every visitor a little."""

    async def client(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def answered():
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))

        await answered()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await answered()
            cycles = sum(isinstance(thing, RequestResponseCycle) for thing in gc.get_objects())
        finally:
            gc.enable()
            writer.close()
        return cycles

    assert run(served(client)) == 0


def test_a_client_that_does_not_read_is_waited_for(served, run):
    """What it has asked for waits in its connection up to the server's mark, and comes whole when it reads."""
    ask_for = b"GET /v1/images/home-hero?w=960 HTTP/1.1\r\nHost: x\r\nAccept: image/jpeg\r\n\r\n"

    async def client(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
        writer.write(ask_for * 2_000 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0.5)
        everything = await reader.read()
        writer.close()
        return everything

    everything = run(served(client))

    assert everything.count(b"HTTP/1.1 200 OK\r\n") == 2_001
    assert everything.endswith(b'{"ok":true}')


def test_a_header_cannot_begin_another_line(served, run):
    """A handler made it: the server refuses to write it."""

    class Cycle:
        flow = type("Flow", (), {"write_paused": False})
        disconnected, response_started, keep_alive, default_headers = False, False, True, ()

    cycle = Cycle()
    known = weakref.ref(cycle)
    with pytest.raises(ValueError, match="line break"):
        _write(known, 200, [(b"etag", b"x\r\nset-cookie: a=b")], b"body")
    assert not _write(known, 200, [(b"etag", b"x")], b"a body whose end nobody would find")
