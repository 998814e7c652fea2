"""Open pages are told when their visitor's consent is not what it was."""

import asyncio

from consent_core.formats.session import credentials_of
from consent_core.formats.withdrawals import WithdrawalRow
from tests.runtime_host.pop.edge import SESSION_COOKIE, ask
from tests.runtime_host.pop.shop import make_pop


def test_the_stream_tells_the_visitors_own_pages(shop, run):
    """A withdrawal in one tab is news in the other, and in no other visitor's."""

    async def watch():
        mine, other = shop.browser(), shop.browser()
        await mine.grant("contextual")
        await other.grant("contextual")
        streams = [Listening(visitor) for visitor in (mine, other)]
        tasks = [asyncio.create_task(stream.run()) for stream in streams]
        await asyncio.gather(*(stream.opened.wait() for stream in streams))
        await mine.withdraw()
        await streams[0].news.wait()
        for stream in streams:
            stream.hang_up.set()
        await asyncio.gather(*tasks)
        return [stream.text for stream in streams]

    mine, other = run(watch())

    assert mine == b'retry: 1000\n\nevent: change\ndata: {"reason":"revoked"}\n\n'
    assert other == b"retry: 1000\n\n"
    assert len(shop.pop.streams) == 0


def test_one_page_too_many_is_told_so(shop, run, tmp_path):
    """503 with a code before the stream begins, recorded as such, instead of a failure in the middle."""
    pop = make_pop(tmp_path / "full", shop.plane, shop.cable, shop.clock, max_streams=0)
    reply = run(ask(pop.public_app, "GET", "/v1/consent/stream"))
    run(pop.stop())

    assert (reply.status, reply.json()["error"]["code"]) == (503, "too-many-streams")


def test_the_stream_tells_of_a_revocation_from_elsewhere(shop, run):
    """The log takes something away: the page hears it with the poll that brought it."""

    async def watch():
        visitor = shop.browser()
        await visitor.grant("contextual")
        stream = Listening(visitor)
        task = asyncio.create_task(stream.run())
        await stream.opened.wait()
        elsewhere = shop.browser()
        elsewhere.jar = dict(visitor.jar)
        shop.plane.consents.withdraw(None, _withdrawal(elsewhere))
        await shop.pop.sync.poll()
        await asyncio.wait_for(stream.news.wait(), 60)
        stream.hang_up.set()
        await task
        return stream.text

    assert b"event: change" in run(watch())


def _withdrawal(visitor):
    made = credentials_of(visitor.jar[SESSION_COOKIE][0].encode())
    return WithdrawalRow("k" * 22, made.withdraw, None, None, None, None, "tokyo-1", 0)


class Listening:
    """A page with an open stream. `opened`, `news`: set when its first bytes and its first event arrived."""

    def __init__(self, visitor):
        self.visitor = visitor
        self.text = b""
        self.opened, self.news, self.hang_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(self):
        cookies = "; ".join(f"{name}={value}" for name, (value, _) in self.visitor.jar.items())
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/consent/stream",
            "query_string": b"",
            "headers": [(b"cookie", cookies.encode())],
        }
        await self.visitor.pop.public_app(scope, self.receive, self.send)

    async def receive(self):
        await self.hang_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.text += message.get("body", b"")
        if message.get("body"):
            self.opened.set()
        if b"event:" in self.text:
            self.news.set()
