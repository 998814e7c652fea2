"""A control plane per test, over SQLite and over PostgreSQL, sharing one set of keys and one published policy."""

import asyncio
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent_core.clock import ManualClock
from consent_core.errors import ConsentEdgeError
from consent_core.formats.consent import ConsentAnswer, ConsentRequest, RefreshRequest
from consent_core.formats.revocation import Answer, Entry, open_answer
from consent_core.formats.session import credentials_of, stored, write_secret
from consent_core.formats.token import Claims, Expectation, validate
from consent_core.formats.withdrawals import WithdrawalRow
from consent_core.trust.keys import KeyStore
from consent_core.trust.signatures import verify_signature
from control_plane.app import ControlPlane, create_app
from control_plane.log.log import RevocationLog
from control_plane.policies.current import Policies
from control_plane.settings import Settings
from control_plane.store.database import Database
from tests.control_plane import postgres

POP = "tokyo-1"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory after the first start: keys, trust file, published policy."""
    directory = tmp_path_factory.mktemp("template")
    create_app(Settings(data=directory, clock=ManualClock())).close()
    return directory


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.running() as server:
        yield server


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> Settings:
    """Settings over a copy of the template."""
    data = tmp_path / "data"
    shutil.copytree(template, data)
    return Settings(data=data, clock=ManualClock())


@pytest.fixture(scope="session")
def postgres_template(
    postgres_server: postgres.Server, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The name of a database with the same policy in force."""
    data, name = tmp_path_factory.mktemp("moved") / "data", postgres_server.create()
    shutil.copytree(template, data)
    here = Settings(data=data, clock=ManualClock())
    publish_like(here, replace(here, database_url=postgres_server.dsn(name)))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """The same settings for each kind of store, each with the same policy in force."""
    if request.param == "sqlite":
        return settings
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return replace(settings, database_url=server.url(like=request.getfixturevalue("postgres_template")))


def publish_like(settings: Settings, moved: Settings) -> None:
    keys = KeyStore.open(settings.data, clock=settings.clock)
    stores = [Database.open(settings.store_url), Database.open(moved.store_url)]
    old, new = (
        Policies(RevocationLog(store, keys, settings.clock), keys.trust_file, settings.clock) for store in stores
    )
    new.publish(old.bundle().body)
    for store in stores:
        store.close()


@pytest.fixture
def plane(settings: Settings) -> Iterator[ControlPlane]:
    """A control plane over SQLite."""
    plane = create_app(settings)
    yield plane
    plane.close()


@pytest.fixture
def either_plane(either: Settings) -> Iterator[ControlPlane]:
    """A control plane over each kind of store."""
    plane = create_app(either)
    yield plane
    plane.close()


class Caller:
    """Calls an application's routes in this process, as `peer` if one is named."""

    def __init__(self, app: Any, peer: object = None) -> None:
        self._app = app
        self._peer = peer

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._call(method, path, **more))

    async def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self._guarded, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://control-plane") as client:
            return await client.request(method, path, **more)

    async def _guarded(self, scope: Any, receive: Any, send: Any) -> None:
        if self._peer is not None:
            scope.setdefault("state", {})["peer"] = self._peer
        await self._app(scope, receive, send)


@pytest.fixture
def mesh(plane: ControlPlane) -> Caller:
    return Caller(plane.mesh_app)


@pytest.fixture
def public(plane: ControlPlane) -> Caller:
    return Caller(plane.public_app)


class Browser:
    """One visitor's browser behind a POP: it holds the secret, numbers no clicks, and says what a person says."""

    def __init__(self, plane: ControlPlane, jurisdiction: str = "EU", gpc: bool = False, age_band: str = "adult"):
        self.plane = plane
        self.jurisdiction, self.gpc, self.age_band = jurisdiction, gpc, age_band
        self.secret: str | None = None
        self.sub = "-"

    @property
    def session(self) -> str | None:
        """The credential that grants."""
        return None if self.secret is None else credentials_of(self.secret.encode()).grant

    def request(self, *grant: str, secret: str | None = None, **more: object) -> ConsentRequest:
        """A yes; the next session is of `secret`."""
        following = credentials_of((secret or new_secret()).encode())
        fixed = {"jurisdiction": self.jurisdiction, "gpc": self.gpc, "age_band": self.age_band, "pop": POP}
        request = ConsentRequest(
            session=self.session,
            next_session=stored(following.grant),
            next_withdraw=stored(following.withdraw),
            key=secrets.token_urlsafe(16),
            grant=grant,
            **fixed,  # type: ignore[arg-type]
        )
        return replace(request, **more)  # type: ignore[arg-type]

    def grant(self, *grant: str, **more: object) -> ConsentAnswer:
        secret = new_secret()
        answer = self.plane.consents.grant(self.request(*grant, secret=secret, **more))
        self.secret, self.sub = secret, answer.sub
        return answer

    def notice(self, **more: object) -> ConsentAnswer:
        return self.grant(source="notice", **more)

    def refresh(self, sub: str | None = None, **more: object) -> ConsentAnswer:
        assert self.session is not None
        request = RefreshRequest(self.session, self.jurisdiction, self.gpc, POP)
        return self.plane.consents.refresh(sub, replace(request, **more))  # type: ignore[arg-type]

    def row(self, *categories: str, key: str | None = None, number: int | None = None) -> WithdrawalRow:
        assert self.secret is not None
        key, made = key or secrets.token_urlsafe(16), credentials_of(self.secret.encode())
        return WithdrawalRow(key, made.withdraw, None, None, number, categories or None, POP, 0)

    def withdraw(self, *categories: str, sub: str | None = None, **more: Any) -> ConsentAnswer:
        return self.plane.consents.withdraw(sub, self.row(*categories, **more))


def new_secret() -> str:
    return write_secret(secrets.token_bytes(32))


@pytest.fixture
def browser(plane: ControlPlane) -> Callable[..., Browser]:
    return partial(Browser, plane)


def refused_with(code: str, status: int, call: Callable[..., object], *args: Any, **named: Any) -> None:
    """The call is refused with that code and HTTP status."""
    with pytest.raises(ConsentEdgeError) as caught:
        call(*args, **named)
    assert (caught.value.code, caught.value.status) == (code, status)


@pytest.fixture
def refused() -> Callable[..., None]:
    """refused(code, status, call, …): the call is refused with that code and HTTP status."""
    return refused_with


@pytest.fixture
def entries(plane: ControlPlane) -> Callable[[], tuple[Entry, ...]]:
    """The log's session and purge entries, as a POP reads them."""
    return lambda: tuple(entry for entry in poll(plane).entries if entry.kind in ("session", "purge"))


def poll(plane: ControlPlane, after: int = 0) -> Answer:
    """One poll, verified as a POP does."""
    reply = plane.log.reply(after, "nonce")
    assert not reply.is_snapshot
    return open_answer(reply.body, plane.keys.trust_file(), "nonce", after=after, now=0, revoked=frozenset())


def claims(plane: ControlPlane, answer: ConsentAnswer) -> Claims:
    """The claims of the answer's token, validated as a POP does."""
    assert answer.token is not None
    trust, clock = plane.keys.trust_file(), plane.settings.clock
    expected = Expectation(trust.issuer, "edge", clock.now(), 0)
    return validate(answer.token, trust.keys("token", clock.now()), expected, verify_signature)
