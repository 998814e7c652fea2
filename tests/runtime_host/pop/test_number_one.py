"""Test number one (DESIGN section 7): every response equals what that request's own consent and signals would have
got alone on a fresh POP, however requests with opposite choices interleave."""

import asyncio
import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent_core.clock import ManualClock
from consent_core.formats.refusals import Refusal, write_refusals
from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import KeyStore
from runtime_host.pop.process.listeners import _server
from runtime_host.pop.stores import Interaction
from runtime_host.wasm.functions import ConsentValidator, Personalizer
from runtime_host.wasm.native import NativeFunction
from tests.runtime_host.pop.edge import ROOT, TOKEN_COOKIE, Hesitant, make_edge, visitor

VISITORS = 4
BOUGHT = {0: ("tent", ("camping", "tent")), 1: ("kayak", ("water", "kayak")), 2: ("tent", ("camping",))}


@dataclass(frozen=True)
class Request:
    """One request: who asks, what they allowed, where they are."""

    who: int
    scopes: tuple[str, ...] | None
    slot: str
    section: str
    gpc: bool
    image: bool
    refused: tuple[str, ...] = ()

    @property
    def path(self):
        return f"/v1/{'images' if self.image else 'slots'}/{self.slot}?section={self.section}"


requests = st.builds(
    Request,
    who=st.integers(0, VISITORS - 1),
    scopes=st.none() | st.sampled_from([(), ("contextual",), ("behavioral",), ("experimental",), CATEGORIES]),
    slot=st.sampled_from(["home-hero", "member-banner", "promo-tile"]),
    section=st.sampled_from(["camping", "water"]),
    gpc=st.booleans(),
    image=st.booleans(),
    refused=st.sampled_from([(), (), ("contextual",), ("behavioral", "experimental"), CATEGORIES]),
)


class Worlds:
    """Fresh POPs over one set of keys, one catalogue and one POP key."""

    def __init__(self, directory, catalogue):
        self.directory = directory
        self.catalogue = catalogue
        self.keys = KeyStore.open(directory, create=True, clock=ManualClock())
        self.number = 0
        self.alone = {}

    def fresh(self, turns=()):
        """A POP in `US-CA` that knows what each visitor bought."""
        self.number += 1
        home = self.directory / str(self.number)
        (home / "pops/tokyo-1").mkdir(parents=True)
        (home / "pops/tokyo-1/pop.key").write_bytes(b"k" * 32)
        (home / "rendition.key").write_bytes(b"r" * 32)
        turns = iter(turns)
        validation = Hesitant(NativeFunction(ROOT / "functions/consent_validation"), turns)
        personalization = Hesitant(NativeFunction(ROOT / "functions/personalization"), turns)
        parts = {
            "validator": ConsentValidator(validation),
            "personalizers": dict.fromkeys(CATEGORIES, Personalizer(personalization)),
        }
        edge = make_edge(home, self.catalogue, keys=self.keys, jurisdiction="US-CA", parts=parts)
        for who, (item, tags) in BOUGHT.items():
            row = Interaction(subject_of(visitor(who)), 1, "behavioral", "purchase", item, tags)
            edge.pop.store.history.record(row)
        return edge

    async def answer_alone(self, request):
        """What a fresh POP says if nobody else ever asked it anything."""
        if request not in self.alone:
            edge = self.fresh()
            await edge.sync()
            self.alone[request] = (await ask(edge, request)).fixed
            await self.end(edge)
        return self.alone[request]

    async def end(self, edge):
        await edge.pop.stop()
        shutil.rmtree(edge.pop.config.data)


async def ask(edge, request):
    cookies = [refusal(*request.refused)] if request.refused else []
    if request.scopes is not None:
        cookies.append(f"{TOKEN_COOKIE}={edge.token(*request.scopes, sub=visitor(request.who))}")
    headers = {"cookie": "; ".join(cookies)} if cookies else {}
    return await edge.get(request.path, None, sec_gpc="1" if request.gpc else "0", **headers)


def refusal(*categories):
    return "consent-no=" + write_refusals("A" * 22, [Refusal(7, categories, "B" * 21 + "A", 1_800_000_000)])


@pytest.fixture(scope="module")
def worlds(tmp_path_factory, catalogue):
    return Worlds(tmp_path_factory.mktemp("worlds"), catalogue)


@given(asked=st.lists(requests, min_size=2, max_size=24), turns=st.lists(st.integers(0, 4), max_size=40))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_response_is_what_the_request_would_have_got_alone(worlds, asked, turns):
    """Opposite choices, shared caches, calls that overlap in any order."""

    async def together():
        edge = worlds.fresh(turns)
        await edge.sync()
        replies = await asyncio.gather(*(ask(edge, request) for request in asked))
        again = [await ask(edge, request) for request in asked]  # now from memory
        await worlds.end(edge)
        return replies, again

    async def compare():
        replies, again = await together()
        for request, first, second in zip(asked, replies, again, strict=True):
            alone = await worlds.answer_alone(request)
            assert first.fixed == alone, request
            assert second.fixed == alone, request

    asyncio.run(compare())


@given(asked=requests)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_browser_refused_is_not_used_for_it(worlds, asked):
    """The answer is the one that the same request gets under a token without those categories."""

    async def compare():
        edge = worlds.fresh()
        await edge.sync()
        left = None if asked.scopes is None else tuple(c for c in asked.scopes if c not in asked.refused)
        mine, without = await ask(edge, asked), await ask(edge, replace(asked, scopes=left, refused=()))
        await worlds.end(edge)
        assert mine.fixed == without.fixed

    asyncio.run(compare())


def test_the_same_holds_over_sockets_and_threads(worlds):
    """Six client threads, opposite choices, one POP behind a real listener."""
    asked = [
        Request(who, scopes, slot, section, False, image)
        for who in range(2)
        for scopes in (None, (), ("contextual",), CATEGORIES)
        for slot in ("home-hero", "member-banner", "promo-tile")
        for section in ("camping", "water")
        for image in (True, False)
    ]

    async def serve():
        edge = worlds.fresh()
        await edge.sync()
        server = _server(edge.pop.public_app, "127.0.0.1", 0)
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        tokens = {r: None if r.scopes is None else edge.token(*r.scopes, sub=visitor(r.who)) for r in asked}
        with ThreadPoolExecutor(6) as pool:
            loop = asyncio.get_running_loop()
            parts = [loop.run_in_executor(pool, fetch, port, asked[n::6] * 3, tokens) for n in range(6)]
            answers = {request: body for part in await asyncio.gather(*parts) for request, body in part.items()}
        server.should_exit = True
        await running
        await worlds.end(edge)
        return answers

    async def compare():
        for request, digests in (await serve()).items():
            status, _, body = await worlds.answer_alone(request)
            assert digests == {(status, hashlib.sha256(body).hexdigest())}, request

    asyncio.run(compare())


def fetch(port, asked, tokens):
    """In a thread: every request in turn; what came back, by request."""
    answers = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for request in asked:
            cookie = {} if tokens[request] is None else {"cookie": f"{TOKEN_COOKIE}={tokens[request]}"}
            reply = client.get(request.path, headers={**cookie, "accept": "", "sec-gpc": "0"})
            digest = hashlib.sha256(reply.content).hexdigest()
            answers.setdefault(request, set()).add((reply.status_code, digest))
    return answers
