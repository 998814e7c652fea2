"""Two control planes on one PostgreSQL, real processes: either may die or freeze, and nothing is lost or doubled."""

import asyncio
import json
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
import stamina

from consent_core.clock import SystemClock
from consent_core.formats.consent import ConsentRequest, read_answer, write_request
from consent_core.formats.revocation import Entry, open_answer
from consent_core.formats.session import credentials_of, stored
from consent_core.formats.subject import subject_of
from consent_core.formats.withdrawals import WithdrawalRow, read_answers, write_rows
from consent_core.trust.mesh_client import mesh_client
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_source import open_source
from consent_core.trust.trust_file import TrustFile
from fleet.processes import Fleet, Member
from tests.control_plane import postgres
from tests.control_plane.conftest import POP, new_secret

PATIENCE_S = 240.0  # of a person's change, over a kill or a freeze
READ_S = 5.0  # of one attempt, as POPs have it


@dataclass(frozen=True, slots=True)
class Deployment:
    """Two running control planes and a client as a POP's. `database`: their PostgreSQL."""

    fleet: Fleet
    database: str

    def client(self) -> httpx.AsyncClient:
        clock = SystemClock()
        source = open_source(self.fleet.data, SpiffeId.of("ui-tools", "edge", POP), clock=clock)
        client = mesh_client(source, clock, self.fleet.mesh_url, role="control-plane")
        client.timeout = httpx.Timeout(READ_S)
        return client

    def counts(self) -> tuple[int, int]:
        """How many visitors there are, and how many versions of records."""
        query = "SELECT (SELECT count(*) FROM visitors), (SELECT count(*) FROM records)"
        with psycopg.connect(self.database) as connection:
            return connection.execute(query).fetchone()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    data = tmp_path_factory.mktemp("two")
    with postgres.running() as server:
        url = server.url()
        with Fleet(data, [], site=Path("demo/site"), database=url, control_planes=2) as fleet:
            yield Deployment(fleet, url)


class Person:
    """Says yes to two categories, then no to one; each change is sent until somebody answers it, always the same."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._made = credentials_of(new_secret().encode())
        self.subject = ""

    async def yes(self) -> None:
        request = ConsentRequest(
            session=None, next_session=stored(self._made.grant), next_withdraw=stored(self._made.withdraw),
            key=secrets.token_urlsafe(16), grant=("contextual", "behavioral"),
            jurisdiction="EU", gpc=False, age_band="adult", pop=POP,
        )  # fmt: skip
        answer = read_answer((await self._post("/v1/consents", write_request(request))).content)
        assert answer.categories == ("contextual", "behavioral")
        self.subject = subject_of(answer.sub)

    async def objects(self) -> str:
        """The id of the request."""
        asked = {"kind": "objection", "pop": POP, "session": self._made.grant}
        return (await self._post("/v1/requests", json.dumps(asked).encode())).json()["id"]

    @stamina.retry(on=(httpx.HTTPError, AssertionError), attempts=None, timeout=PATIENCE_S, wait_max=0.5)
    async def sees_fulfilled(self, request: str) -> None:
        path, shown = f"/v1/requests/{request}", {"consent-session": self._made.grant}
        state = (await self._client.get(path, headers=shown)).raise_for_status().json()["state"]
        assert state == "fulfilled"

    async def no(self) -> None:
        row = WithdrawalRow(secrets.token_urlsafe(16), self._made.withdraw, None, None, None, ("behavioral",), POP, 0)
        (answer,) = read_answers((await self._post("/v1/withdrawals", write_rows([row]))).content, [row.key])
        assert answer.code is None

    @stamina.retry(on=httpx.HTTPError, attempts=None, timeout=PATIENCE_S, wait_initial=0.1, wait_max=0.5)
    async def _post(self, path: str, body: bytes) -> httpx.Response:
        return (await self._client.post(path, content=body)).raise_for_status()


async def log_of(deployment: Deployment, client: httpx.AsyncClient) -> tuple[Entry, ...]:
    """Every entry, in order, verified as a POP does it: numbers without a gap, hashes that follow each other."""
    trust, now = TrustFile.load(deployment.fleet.data / "trust.json"), SystemClock().now()
    entries: tuple[Entry, ...] = ()
    while True:
        after = len(entries)
        reply = await client.get("/v1/revocations", params={"after": after, "nonce": "n"})
        answer = open_answer(reply.content, trust, "n", after=after, now=now, revoked=frozenset())
        entries += answer.entries
        if len(entries) == answer.head:
            return entries


def kill(member: Member) -> Callable[[], None]:
    member.kill()
    return lambda: (member.start(), member.wait_ready())


def freeze(member: Member) -> Callable[[], None]:
    os.kill(member.process.pid, signal.SIGSTOP)
    return lambda: os.kill(member.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("fault", [kill, freeze])
@pytest.mark.parametrize("which", [0, 1])
def test_either_may_fail_while_people_change_their_minds(deployment, which, fault):
    """Each change is recorded once, the log has one entry for each no, and no number is missing."""
    member = (deployment.fleet.control_plane, deployment.fleet.standbys[0])[which]

    async def scenario() -> None:
        async with deployment.client() as client:
            before, (visitors, records) = await log_of(deployment, client), deployment.counts()
            people = [Person(client) for _ in range(6)]
            changes = asyncio.gather(*(_changes(person) for person in people))
            await asyncio.sleep(0)
            heal = await asyncio.to_thread(fault, member)
            await changes
            await asyncio.to_thread(heal)
            after = await log_of(deployment, client)

        news = after[len(before) :]
        assert after[: len(before)] == before
        assert sorted(entry.subject for entry in news) == sorted(person.subject for person in people)
        assert {entry.categories for entry in news} == {("behavioral",)}
        assert deployment.counts() == (visitors + len(people), records + 2 * len(people))

    async def _changes(person: Person) -> None:
        await person.yes()
        await person.no()

    asyncio.run(scenario())


@pytest.mark.parametrize("which", [0, 1])
def test_a_request_is_carried_whichever_is_killed(deployment, which):
    """Each is able to carry it, and the one that is left does."""
    member = (deployment.fleet.control_plane, deployment.fleet.standbys[0])[which]

    async def scenario() -> None:
        async with deployment.client() as client:
            person = Person(client)
            await person.yes()
            heal = await asyncio.to_thread(kill, member)
            await person.sees_fulfilled(await person.objects())
            await asyncio.to_thread(heal)

    asyncio.run(scenario())
