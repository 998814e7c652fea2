"""Several addresses of a control plane: what reached nobody goes to the next, what may have had its effect does not."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from consent_core.trust.failover import Failover, read_addresses

A, B, C = "https://a.example:7443", "https://b.example:7443", "https://c.example:7443"


class Parties(httpx.AsyncBaseTransport):
    """What each host does with a request: answer, or fail as a network does. `seen`: host and body, in order."""

    def __init__(self, **does: type[httpx.TransportError] | None) -> None:
        self.does = does
        self.seen: list[tuple[str, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host[0]
        self.seen.append((name, await request.aread()))
        fault = self.does[name]
        if fault is not None:
            raise fault("no", request=request)
        return httpx.Response(200, text=request.headers["Host"], request=request)

    @property
    def hosts(self) -> str:
        return "".join(name for name, _ in self.seen)


def asking(parties: Parties, story: Callable) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(transport=Failover(parties, (A, B, C)), base_url=A) as client:
            await story(client)

    asyncio.run(run())


def test_the_first_that_answers_is_asked_again():
    """Nothing moves while it answers; after it did not, its successor is the one."""
    parties = Parties(a=None, b=None, c=None)

    async def story(client: httpx.AsyncClient) -> None:
        assert (await client.get("/x")).text == "a.example:7443"
        parties.does["a"] = httpx.ConnectError
        assert (await client.post("/x", content=b"body")).text == "b.example:7443"
        parties.does["a"] = None
        assert (await client.get("/x")).text == "b.example:7443"

    asking(parties, story)
    assert parties.seen == [("a", b""), ("a", b"body"), ("b", b"body"), ("b", b"")]


@pytest.mark.parametrize("fault", [httpx.ConnectError, httpx.ConnectTimeout])
def test_where_nobody_can_be_reached_each_is_tried_once(fault):
    """And the error is the caller's to see."""
    parties = Parties(a=fault, b=fault, c=fault)

    async def story(client: httpx.AsyncClient) -> None:
        with pytest.raises(fault):
            await client.get("/x")

    asking(parties, story)
    assert parties.hosts == "abc"


@pytest.mark.parametrize(
    "fault", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError, httpx.WriteTimeout]
)
def test_what_was_sent_is_never_sent_to_another_by_itself(fault):
    """It may have had its effect: the caller sees the error, and its next request goes elsewhere."""
    parties = Parties(a=fault, b=None, c=None)

    async def story(client: httpx.AsyncClient) -> None:
        with pytest.raises(fault):
            await client.post("/x", content=b"once")
        assert (await client.get("/y")).text == "b.example:7443"

    asking(parties, story)
    assert parties.seen == [("a", b"once"), ("b", b"")]


def test_answers_that_say_no_are_answers():
    """A refusal is not asked for again at the next door."""

    class Refusing(Parties):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await super().handle_async_request(request)
            return httpx.Response(503, request=request)

    parties = Refusing(a=None, b=None, c=None)

    async def story(client: httpx.AsyncClient) -> None:
        assert (await client.get("/x")).status_code == 503

    asking(parties, story)
    assert parties.hosts == "a"


def test_many_failures_at_once_move_on_by_one():
    """Ten requests that fail together at one address do not skip the next."""
    parties = Parties(a=httpx.ReadError, b=None, c=None)

    async def story(client: httpx.AsyncClient) -> None:
        await asyncio.gather(*(client.get("/x") for _ in range(10)), return_exceptions=True)
        assert (await client.get("/y")).text == "b.example:7443"

    asking(parties, story)


@pytest.mark.parametrize("text", ["", "a.example", "ftp://a", "https://", "https://a,", ",https://a", "https://a/path"])
def test_addresses_that_are_refused(text):
    with pytest.raises(ValueError, match="control_plane"):
        read_addresses(text)


def test_addresses_that_are_taken():
    assert read_addresses("https://127.0.0.1:7443") == ("https://127.0.0.1:7443",)
    assert read_addresses(f"{A}/, {B}") == (A, B)
