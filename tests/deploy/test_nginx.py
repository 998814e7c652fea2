"""A real nginx with `deploy/nginx/consent-edge.conf` in front of a real POP: test number one holds through it."""

import asyncio
import os
import re
import subprocess
import threading
from collections import Counter
from random import Random

import httpx
import pytest
import stamina
import uvicorn

from consent_core.formats.revocation import subject_of
from fleet.ports import free_port
from runtime_host.pop.stores import Withdrawal
from tests.conftest import ROOT
from tests.runtime_host.pop.edge import TOKEN_COOKIE, make_edge, visitor

NGINX = ROOT / ".venv" / "nginx" / "usr" / "sbin" / "nginx"
CONF = ROOT / "deploy" / "nginx" / "consent-edge.conf"
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI = "image/webp,image/avif,image/jxl,image/heic,video/*;q=0.8,image/png,*/*;q=0.5"
HERO = "/v1/images/home-hero?w=120&section=camping"
OWN = {"date", "server", "connection", "cache-status", "server-timing", "keep-alive", "transfer-encoding"}


class Front:
    """nginx, the POP behind it, and the loop that the POP runs on."""

    def __init__(self, place):
        self.loop, self.place = asyncio.new_event_loop(), place
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.edge = self.run(self._made())
        self.direct = httpx.Client(
            base_url=f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}", timeout=60
        )
        self.through = httpx.Client(base_url=f"http://127.0.0.1:{free_port()}", timeout=60)
        self.nginx = subprocess.Popen([NGINX, "-p", place, "-c", self._conf(), "-e", place / "error.log"])
        self._await()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(240)

    async def _made(self):
        edge = make_edge(self.place / "data", shared_cache_s=300)
        await edge.sync()
        config = uvicorn.Config(edge.pop.public_app, port=0, lifespan="off", log_level="warning", ws="none")
        self.server = uvicorn.Server(config)
        self.serving = asyncio.create_task(self.server.serve())
        while not self.server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.01)
        return edge

    def _conf(self):
        text = CONF.read_text()
        text = text.replace("127.0.0.1:8081", self.direct.base_url.netloc.decode())
        text = text.replace("127.0.0.1:8080", self.through.base_url.netloc.decode())
        text = text.replace("/var/cache/nginx/consent-edge", str(self.place / "cache"))
        temporary = "".join(
            f"{name}_temp_path {self.place}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        head = f"{user} daemon off; worker_processes 1; pid {self.place}/nginx.pid; events {{}}"
        path = self.place / "nginx.conf"
        path.write_text(f"{head} http {{ access_log off; {temporary}\n{text}\n}}")
        return path

    @stamina.retry(on=httpx.TransportError, attempts=None, wait_max=0.2, timeout=240)
    def _await(self):
        self.through.get("/healthz")

    def both(self, path, **headers):
        """The answer through nginx and the POP's own, each without what may differ between two answers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return tuple(_kept(client.get(path, headers=named)) for client in (self.through, self.direct))

    def status(self, path, **headers):
        """What nginx says of its cache, and the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.through.get(path, headers=named)
        return answer.headers.get("cache-status", "none").removeprefix("nginx; "), answer

    def close(self):
        self.through.close()
        self.direct.close()
        self.nginx.terminate()
        self.nginx.wait(240)
        self.run(self._ended())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(240)
        self.loop.close()

    async def _ended(self):
        self.server.should_exit = True
        await self.serving
        await self.edge.pop.stop()


def _kept(answer):
    return answer.status_code, {k: v for k, v in answer.headers.items() if k not in OWN}, answer.content


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    assert NGINX.exists(), "nginx is missing: scripts/setup tests"
    front = Front(tmp_path_factory.mktemp("nginx"))
    yield front
    front.close()


def cookie(token):
    return {"cookie": f"theme=dark; {TOKEN_COOKIE}={token}"}


def test_everybody_without_a_token_shares_one_entry(front):
    """Other pages, browsers, signals and cookies: the second one is a hit, and the bytes are the POP's."""
    path = "/v1/images/home-hero?w=121"
    first, _ = front.status(f"{path}&path=/a", accept=CHROME)
    strangers = [
        ("&path=/b&section=water", {"accept": FIREFOX}),
        ("&path=/c&tags=tent", {"accept": SAFARI, "sec-gpc": "1"}),
        ("&language=ja", {"accept": CHROME, "cookie": "theme=dark; id=7", "x-country": "US-CA"}),
    ]
    found = [front.status(path + query, **headers) for query, headers in strangers]

    assert first == "MISS"
    assert [status for status, _ in found] == ["HIT"] * 3
    assert {answer.content for _, answer in found} == {front.direct.get(path, headers={"accept": CHROME}).content}
    assert all(answer.headers["cache-control"] == "public, max-age=0, s-maxage=300" for _, answer in found)


def test_who_has_a_token_gets_their_own_before_and_after_yes_and_no(front):
    """Number one through nginx: in any order, each answer is what the POP alone would have given to this request."""
    edge = front.edge
    yes, noes = edge.token("contextual", sub=visitor(1)), edge.token("contextual", sub=visitor(2))
    other = edge.token("behavioral", sub=visitor(3))
    people = [{}, cookie(yes), {}, cookie(noes), cookie(other), cookie("rubbish"), {"authorization": f"Bearer {yes}"}]
    chance = Random(7)
    before = [front.both(HERO, accept=CHROME, **who) for who in chance.sample(people * 3, 21)]
    no = Withdrawal("k" * 32, "s" * 43, subject_of(visitor(2)), 2)
    front.loop.call_soon_threadsafe(edge.pop.sync.outgoing.withdraw, no)
    front.run(asyncio.sleep(0))
    after = [front.both(HERO, accept=CHROME, **who) for who in chance.sample(people * 3, 21)]

    assert all(through == direct for through, direct in before + after)
    mine, default = front.both(HERO, accept=CHROME, **cookie(yes))[0], front.both(HERO, accept=CHROME)[0]
    assert mine[2] != default[2]
    assert front.both(HERO, accept=CHROME, **cookie(noes))[0][2] == default[2]


@pytest.mark.parametrize("secret", ["__Host-consent-token=x", "consent-token=x", "a=b; consent-token="])
def test_whatever_looks_like_a_token_passes_by_the_cache(front, secret):
    """Valid or not, by either name: neither from the cache nor into it, and private."""
    front.status(HERO, accept=CHROME)
    found = [front.status(HERO, accept=CHROME, cookie=secret) for _ in range(2)]

    assert [status for status, _ in found] == ["BYPASS"] * 2
    assert all(answer.headers["cache-control"] == "private, no-cache" for _, answer in found)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (CHROME, "avif"),
        ("image/webp,*/*", "webp"),
        ("*/*", "jpeg"),
        ("image/avif;q=0,image/webp", "webp"),
        ("", "jpeg"),
    ],
)
def test_nobody_gets_a_format_that_they_did_not_name(front, accept, kind):
    """After other visitors' requests; through the cache as from the POP."""
    for _ in range(2):
        _, answer = front.status("/v1/images/promo-tile?w=120", accept=accept)

        assert answer.headers["content-type"] == f"image/{kind}"
        assert answer.content == front.direct.get("/v1/images/promo-tile?w=120", headers={"accept": accept}).content


def test_a_known_picture_is_304_for_everybody(front):
    """From the cache, and through it for who has a token."""
    for who in ({}, cookie(front.edge.token("contextual", sub=visitor(4)))):
        _, answer = front.status(HERO, accept=CHROME, **who)
        _, again = front.status(HERO, accept=CHROME, if_none_match=answer.headers["etag"], **who)

        assert (answer.status_code, again.status_code, again.content) == (200, 304, b"")


@pytest.mark.parametrize("path", ["/v1/slots/home-hero?section=camping", "/v1/consent", "/v1/policy", "/v1/trust"])
def test_what_is_about_a_person_never_meets_the_cache(front, path):
    """Slot JSON and the consent routes stay private."""
    found = [front.status(path) for _ in range(2)]

    assert [status for status, _ in found] == ["none"] * 2
    assert all(answer.headers["cache-control"].startswith("private") for _, answer in found)


def test_with_sixty_percent_without_consent_most_requests_never_reach_the_pop(front):
    """500 requests of 12 pictures, 60 % without a token: 57 to 60 % are hits. The figure of docs/cdn.md."""
    token, chance = front.edge.token("contextual", sub=visitor(5)), Random(17)
    counts = Counter()
    for _ in range(500):
        slot, width = chance.choice(("home-hero", "member-banner", "promo-tile")), chance.choice((60, 90, 119, 160))
        who = {} if chance.random() < 0.6 else cookie(token)
        page = f"path=/{chance.randrange(50)}&section={chance.choice(('camping', 'water'))}"
        status, answer = front.status(
            f"/v1/images/{slot}?w={width}&{page}", accept=chance.choice((CHROME, FIREFOX)), **who
        )
        counts[status] += answer.status_code == 200

    assert counts.total() == 500
    assert 0.55 <= counts["HIT"] / 500 <= 0.65, counts
    assert counts["MISS"] <= 12


def test_the_documentation_quotes_these_rules():
    """Each directive that docs/cdn.md explains is in the file."""
    explained = re.findall(r"`(proxy_\w+|map \$\w+)[^`]*`", (ROOT / "docs" / "cdn.md").read_text())

    assert explained
    assert all(directive in CONF.read_text() for directive in explained)
