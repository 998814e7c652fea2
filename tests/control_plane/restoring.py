"""A control plane that can be lost and restored, with POPs that keep what the shipped ones keep, in this process."""

import asyncio
import json
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from consent_core.formats.consent import ConsentAnswer
from consent_core.formats.session import credentials_of
from consent_core.formats.subject import subject_of
from consent_core.formats.withdrawals import WithdrawalAnswer, WithdrawalRow
from control_plane.app import ControlPlane, create_app
from control_plane.restore.backup import back_up, put_back
from control_plane.restore.beginning import begin
from control_plane.settings import Settings
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.raw import GRANT
from runtime_host.pop.sync import Sync, SyncConfig
from tests.control_plane.conftest import Browser, new_secret


@dataclass
class Edge:
    """One POP: its store and its sync room, cut off or not."""

    name: str
    store: PopStore
    sync: Sync
    is_cut: bool = False

    def poll(self) -> None:
        asyncio.run(self.sync.poll())

    def note(self, row: WithdrawalRow, state: str) -> None:
        """What the POP's outbox keeps of a "no"."""
        values = (row.key, row.subject or row.key, row.withdraw, row.subject, row.number, json.dumps(row.categories))
        with self.store.database.transaction():
            self.store.database.run(
                "INSERT INTO outbox (key, visitor, withdraw, subject, number, below, categories, at, state)"
                " VALUES (?,?,?,?,?,0,?,?,?)",
                (*values, row.at, state),
            )


@dataclass
class World:
    """`fresh`: makes the settings of another, empty place for the store."""

    settings: Settings
    home: Path
    fresh: Callable[[], Settings]
    names: Collection[str] = ("tokyo-1", "paris-1")
    edges: dict[str, Edge] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plane: ControlPlane = create_app(self.settings)
        for name in self.names:
            self.add(name)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        await self.plane.mesh_app(scope, receive, send)

    def add(self, name: str) -> Edge:
        home = self.home / name
        store = PopStore(home / "pop.db", self.settings.clock)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://plane")
        trust = self.settings.data / "trust.json"
        config = SyncConfig(name, home, push=False, trust_file=trust)
        edge = Edge(name, store, Sync(config, store, self.plane.keys.trust_file(), client, self.settings.clock))
        self.edges[name] = edge
        edge.poll()
        asyncio.run(edge.sync.report())
        return edge

    def back_up(self) -> Path:
        directory = self.home / secrets.token_hex(8)
        back_up(self.plane.database, directory, self.settings.clock.now())
        return directory

    def lose(self, backup: Path, *, without: Collection[str] = (), also: Collection[str] = ()) -> None:
        """The store is gone; a backup takes its place, and collects."""
        self.plane.close()
        self.settings = self.fresh()
        now = self.settings.clock.now()
        database = put_back(backup, self.settings.store_url, now)
        with database.write() as connection:
            begin(connection, also=also, without=without, approver="ana", now=now)
        database.close()
        self.plane = create_app(self.settings)

    def restore(self, backup: Path, *, without: Collection[str] = ()) -> None:
        """The whole procedure."""
        self.lose(backup, without=without)
        self.deliver(*(name for name in self.edges if name not in without))
        assert self.plane.collecting.complete()

    def deliver(self, *names: str) -> None:
        for name in names:
            with_refusal(self.edges[name].poll)

    def close(self) -> None:
        self.plane.close()
        for edge in self.edges.values():
            edge.store.close()


def with_refusal(call: Callable[[], None]) -> str | None:
    """Make the call; the code of its refusal, None if it went through."""
    from consent_core.errors import ConsentEdgeError

    try:
        call()
    except ConsentEdgeError as error:
        return error.code
    return None


class Visitor(Browser):
    """One person's browser at POPs of a world: it numbers its clicks, and the POPs keep what they are given."""

    def __init__(self, world: World) -> None:
        self.world, self.high = world, 0
        super().__init__(world.plane)
        self.answers: list[ConsentAnswer] = []

    @property
    def plane(self) -> ControlPlane:
        """The one that runs now."""
        return self.world.plane

    @plane.setter
    def plane(self, _: ControlPlane) -> None:
        """Whoever runs next is asked next."""

    @property
    def subject(self) -> str:
        return subject_of(self.sub)

    def click(self) -> int:
        self.high += 1
        return self.high

    def yes(self, *categories: str, pop: str = "tokyo-1") -> ConsentAnswer:
        secret = new_secret()
        request = replace(self.request(*categories, secret=secret, number=self.click()), pop=pop)
        answer = self.world.plane.consents.grant(request)
        assert answer.proof is not None
        self.world.edges[pop].store.raw.keep(GRANT, answer.proof.encode())
        self.secret, self.sub, self.high = secret, answer.sub, max(self.high, answer.ver)
        self.answers.append(answer)
        return answer

    def no(self, *categories: str, pop: str = "tokyo-1", forward: bool = True, **more: Any) -> WithdrawalAnswer | None:
        row = replace(self.row(*categories, number=self.click()), pop=pop, subject=self.subject, **more)
        row = replace(row, at=row.at or self.world.settings.clock.now())
        self.world.edges[pop].note(row, "forwarded" if forward else "pending")
        if not forward:
            return None
        (answer,) = self.world.plane.consents.withdraw_many([row])
        self.high = max(self.high, answer.ver)
        return answer

    def held(self) -> tuple[str, ...]:
        """What the control plane says now, to who presents this session."""
        assert self.secret is not None
        answer = self.world.plane.consents.look(None, credentials_of(self.secret.encode()).grant)
        self.high = max(self.high, answer.ver)
        return answer.choices
