"""A control plane in memory that speaks the real bytes, and a network in front of it that can be cut, held or replayed.

It is small on purpose: where it and the real control plane differ, `test_real_control_plane.py` tells.
"""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.formats.jwks import write_jwks
from consent_core.formats.kept import Kept, read_kept
from consent_core.formats.revocation import (
    EFFECTS,
    START,
    Entry,
    Point,
    entry_hash,
    head_of,
    sign_answer,
    sign_snapshot,
    subject_of,
)
from consent_core.formats.token import CATEGORIES, encode_base64url
from consent_core.formats.withdrawals import WithdrawalAnswer, WithdrawalRow, read_rows, write_answers
from consent_core.trust.keys import KeyStore
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync import Sync, SyncConfig
from tests.runtime_host.erasing import with_eraser

VISITOR_SUB = "A" * 22
VISITOR = subject_of(VISITOR_SUB)
PAGE = 3  # entries in one answer, so that tests reach the second page soon


@dataclass(frozen=True)
class ToyBundle:
    """A bundle without Rego: its hash and revision are what following it needs."""

    hash: str
    revision: int
    table: object = None
    previous: tuple[str, ...] = ()


def open_toy_bundle(data: bytes, min_revision: int, known: str | None) -> ToyBundle:
    """Believes what says `signed`. The real one is tested where it lives."""
    value = json.loads(data)
    if not value["signed"]:
        raise Untrusted("bundle-signature", "unsigned")
    if value["revision"] < min_revision:
        raise Untrusted("bundle-revision", "rolled back")
    if value["revision"] == min_revision and known not in (None, value["hash"]):
        raise Untrusted("bundle-revision", "already another policy")
    return ToyBundle(value["hash"], value["revision"], None, tuple(value["previous"]))


def bundle(revision: int, *, hash_: str | None = None, signed: bool = True, previous: tuple[str, ...] = ()) -> bytes:
    return json.dumps(
        {"hash": hash_ or policy_hash(revision), "revision": revision, "signed": signed, "previous": previous}
    ).encode()


def policy_hash(revision: int) -> str:
    return f"sha256:{revision:064x}"


@dataclass
class ToyPlane:
    """The control plane's state. `withdrawals`: idempotency key → how often it counted; `requests`: paths asked."""

    keys: KeyStore
    clock: ManualClock
    entries: list[Entry] = field(default_factory=list)
    origin: str = "o" * 22
    pruned: int = 0
    bundle: bytes = b""
    jwks: bytes | None = None
    withdrawals: dict[str, str] = field(default_factory=dict)
    attempts: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    refuse_withdrawals: int = 0
    reports: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def revoke(self, subject: str = VISITOR, categories: tuple[str, ...] = CATEGORIES, ver: int = 5) -> Entry:
        return self.log("session", subject, categories, ver)

    def log(self, kind: str, subject: str, categories: tuple[str, ...] = (), ver: int = 0) -> Entry:
        head, salt = self.head, encode_base64url((len(self.entries) + 1).to_bytes(16))
        now = self.clock.now()
        entry = Entry(
            head.number + 1, head.chain, salt, kind, subject, categories, ver, min(ver, 1), now, EFFECTS[kind]
        )
        self.entries.append(entry)
        return entry

    @property
    def head(self) -> Point:
        return head_of(self.entries, START)

    def place(self, number: int) -> Point:
        return Point(number, entry_hash(self.entries[number - 1])) if number else START

    def publish(self, revision: int) -> None:
        self.bundle = bundle(revision, previous=tuple(policy_hash(old) for old in range(1, revision)))
        self.log("policy", policy_hash(revision))

    def answer(self, after: int, nonce: str) -> bytes:
        signer, head = self.keys.current("log"), self.head
        return sign_answer(self.entries[after : after + PAGE], head, self.origin, nonce, self.clock.now(), signer)

    def snapshot(self, after: int, nonce: str) -> bytes:
        signer, head, through = self.keys.current("log"), self.head, self.place(self.pruned)
        alive = [e for e in self.entries[: self.pruned] if e.kind in ("key", "model", "purge")]
        return sign_snapshot(alive, self.place(after), through, head, self.origin, nonce, self.clock.now(), signer)

    def serve(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append(path)
        if path == "/v1/revocations":
            after, nonce = int(request.url.params["after"]), request.url.params["nonce"]
            if after > len(self.entries):
                return httpx.Response(409, content=self.answer(after, nonce))
            if after < self.pruned:
                return httpx.Response(410, content=self.snapshot(after, nonce))
            return httpx.Response(200, content=self.answer(after, nonce))
        if path == "/v1/policy/bundle":
            return self._serve_bundle(request)
        if path == "/.well-known/jwks.json":
            keys = self.keys.trust_file().keys("token", self.clock.now())
            return httpx.Response(200, content=write_jwks(keys) if self.jwks is None else self.jwks)
        if path == "/v1/withdrawals":
            return self._withdraw(request)
        if path.endswith("/kept"):
            self.kept += read_kept(request.content)
            return httpx.Response(204)
        self.reports.append(json.loads(request.content))
        return httpx.Response(204)

    def _serve_bundle(self, request: httpx.Request) -> httpx.Response:
        etag = f'"{hash(self.bundle)}"'
        if request.headers.get("if-none-match") == etag:
            return httpx.Response(304)
        return httpx.Response(200 if self.bundle else 404, content=self.bundle, headers={"etag": etag})

    def _withdraw(self, request: httpx.Request) -> httpx.Response:
        rows = [row for row in read_rows(request.content) if isinstance(row, WithdrawalRow)]
        self.attempts += [row.key for row in rows]
        self.batches.append(len(rows))
        if self.refuse_withdrawals:
            error = {"error": {"code": "session-unknown", "message": ""}}
            return httpx.Response(self.refuse_withdrawals, json=error)
        return httpx.Response(200, content=write_answers(map(self._take, rows)))

    def _take(self, row: WithdrawalRow) -> WithdrawalAnswer:
        if row.key in self.unknown:
            return WithdrawalAnswer(row.key, code="session-unknown", message="nobody's")
        if row.key not in self.withdrawals:
            self.withdrawals[row.key] = row.withdraw or row.session_legacy or ""
            self.revoke(row.subject or VISITOR, ver=4, categories=row.categories or CATEGORIES)
        return WithdrawalAnswer(row.key, 4, {}, row.subject)


class Network(httpx.AsyncBaseTransport):
    """What is between a POP and the toy plane. `cut`: nothing passes. `replay`: a path → the bytes to answer with.

    `lose_answers`: the request arrives, its answer does not. `hold`: called after the answer was made.
    """

    def __init__(self, plane: ToyPlane) -> None:
        self.plane = plane
        self.cut = False
        self.lose_answers = False
        self.replay: dict[str, bytes] = {}
        self.hold = lambda: None
        self.answers: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("cut")
        await request.aread()
        await asyncio.sleep(0)  # a network always lets others run meanwhile
        if request.url.path in self.replay:
            return httpx.Response(200, content=self.replay[request.url.path])
        response = self.plane.serve(request)
        self.answers.append(response.content)
        self.hold()
        if self.lose_answers:
            raise httpx.ReadError("lost")
        return response


@dataclass
class World:
    """One POP, its control plane and the network between them."""

    home: Path
    clock: ManualClock
    plane: ToyPlane
    network: Network
    store: PopStore
    sync: Sync

    def restart(self) -> None:
        """The POP's process dies and comes back on the same disk."""
        self.store.close()
        self.store = PopStore(self.home / "pop.db", self.clock)
        self.sync = make_sync(self.home, self.store, self.plane, self.network, self.clock)


def make_sync(home: Path, store: PopStore, plane: ToyPlane, network: Network, clock: ManualClock) -> Sync:
    client = httpx.AsyncClient(transport=network, base_url="http://control-plane")
    config = SyncConfig(pop="tokyo-1", home=home, push=False)
    return with_eraser(Sync(config, store, plane.keys.trust_file(), client, clock, opener=open_toy_bundle))


def make_world(directory: Path) -> World:
    clock = ManualClock()
    home = directory / "pops" / "tokyo-1"
    plane = ToyPlane(KeyStore.open(directory, create=True, clock=clock), clock)
    network = Network(plane)
    store = PopStore(home / "pop.db", clock)
    return World(home, clock, plane, network, store, make_sync(home, store, plane, network, clock))
