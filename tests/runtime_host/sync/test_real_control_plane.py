"""The sync room against the real control plane, in process: both sides of every byte are the shipped code."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.formats.consent import ConsentAnswer, ConsentRequest, read_answer, write_request
from consent_core.formats.revocation import subject_of
from consent_core.formats.session import Credentials, credentials_of, stored, write_secret
from consent_core.formats.token import CATEGORIES
from consent_core.policy.bundle import open_bundle
from control_plane.app import ControlPlane, create_app
from control_plane.settings import Settings
from runtime_host.pop.stores import Interaction, PopStore, Withdrawal
from runtime_host.pop.sync import Sync, SyncConfig
from tests.runtime_host.erasing import with_eraser
from tests.runtime_host.log_entries import at


@dataclass
class Pair:
    """One control plane and one POP. `requests`: what the POP asked."""

    clock: ManualClock
    plane: ControlPlane
    store: PopStore
    sync: Sync
    client: httpx.AsyncClient
    requests: list[httpx.Request] = field(default_factory=list)

    def call(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        return asyncio.run(self.client.request(method, path, content=body))

    def grant(self, made: Credentials) -> ConsentAnswer:
        hashes = stored(made.grant), stored(made.withdraw)
        request = ConsentRequest(None, *hashes, made.grant, CATEGORIES, "EU", False, "adult", "tokyo-1")
        response = self.call("POST", "/v1/consents", write_request(request))
        assert response.status_code == 200, response.text
        return read_answer(response.content)

    def follow(self) -> None:
        async def everything() -> None:
            await self.sync.poll()
            await self.sync.fetch_policy()
            await self.sync.fetch_keys()
            await self.sync.outgoing.forward()
            await self.sync.poll()
            await self.sync.report()

        asyncio.run(everything())


def session(number: int) -> Credentials:
    return credentials_of(write_secret(bytes([number]) * 32).encode())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ControlPlane, ManualClock]]:
    """One control plane for all: publishing its first policy takes longest. Visitors and POPs are each test's own."""
    clock = ManualClock()
    plane = create_app(Settings(data=tmp_path_factory.mktemp("data"), clock=clock))
    yield plane, clock
    plane.close()


@pytest.fixture
def pair(first: tuple[ControlPlane, ManualClock], tmp_path: Path) -> Iterator[Pair]:
    plane, clock = first
    client = httpx.AsyncClient(transport=httpx.ASGITransport(plane.mesh_app), base_url="http://control-plane")
    requests: list[httpx.Request] = []

    async def note(request: httpx.Request) -> None:
        requests.append(request)

    client.event_hooks["request"].append(note)
    with PopStore(tmp_path / "pop.db", clock) as store:
        config = SyncConfig("tokyo-1", tmp_path, push=False, trust_file=plane.settings.data / "trust.json")
        sync = with_eraser(Sync(config, store, plane.keys.trust_file(), client, clock))
        yield Pair(clock, plane, store, sync, client, requests)


def test_a_pop_gets_into_sync_and_reports(pair: Pair) -> None:
    """Log, policy, keys, report: all of it read, believed and answered."""
    pair.follow()

    assert pair.sync.trust_state.in_sync()
    assert pair.sync.trust_state.policy is not None
    assert pair.sync.trust_state.hash_status(pair.sync.trust_state.policy.hash) == "current"
    assert pair.sync.trust_state.keys() == pair.plane.keys.trust_file().keys("token")
    assert not pair.sync.failures.untrusted
    (report,) = [r for r in pair.plane.pops.statuses()["pops"] if r["pop"] == "tokyo-1"]
    assert (report["current"], report["behind"]) == (True, 0)


def test_an_unchanged_policy_is_answered_with_304(pair: Pair) -> None:
    """The control plane's ETag is the one the POP sends back."""
    pair.follow()
    pair.follow()
    conditional = [r for r in pair.requests if r.url.path == "/v1/policy/bundle"]
    assert ["if-none-match" in request.headers for request in conditional] == [False, True]


def test_a_withdrawal_said_here_ends_every_older_token_everywhere(pair: Pair) -> None:
    """Denied here at once; after forwarding the log says it, counted once however often it is sent."""
    made = session(2)
    answer = pair.grant(made)
    subject = subject_of(answer.sub)
    no = Withdrawal("key-of-the-withdrawal", made.withdraw, subject, answer.ver + 1, ("behavioral",))
    pair.sync.outgoing.withdraw(no)
    assert pair.sync.trust_state.denied(subject, answer.ver) == {"behavioral"}
    before = pair.plane.log.head()
    pair.follow()
    pair.store.database.rows("UPDATE outbox SET state='pending', owner=NULL")  # as if the answer had been lost
    pair.follow()

    assert pair.plane.log.head() == before + 1
    assert pair.store.outbox.pending() == ()
    assert pair.sync.trust_state.denied(subject, answer.ver) == {"behavioral"}
    assert pair.sync.trust_state.denied(subject, answer.ver + 1) == frozenset()


def test_a_purge_is_carried_out_and_receipted(pair: Pair) -> None:
    """The control plane knows afterwards what this POP erased."""
    answer = pair.grant(session(3))
    subject = subject_of(answer.sub)
    pair.store.history.record(Interaction(subject, answer.ver, "behavioral", "click", "tent"))
    entry = json.loads(
        pair.call("POST", "/v1/revocations", json.dumps({"kind": "purge", "sub": answer.sub}).encode()).content
    )
    pair.follow()

    assert pair.store.history.read(subject, "behavioral") == ()
    assert pair.sync.trust_state.denied(subject, answer.ver + 1000) == set(CATEGORIES)
    (mine,) = [r for r in pair.plane.pops.receipts(entry["seq"])["pops"] if r["pop"] == "tokyo-1"]
    assert mine["receipt"]["deleted"] == {"history": 1, "outbox": 0, "queue": 0, "sessions": 0}


def test_a_withdrawal_of_nobody_is_refused_and_not_repeated(pair: Pair) -> None:
    """The control plane never issued that session."""
    pair.sync.outgoing.withdraw(Withdrawal("key-of-nobodys-session", "9" * 43, None, 0))
    pair.follow()
    assert [code for _, code in pair.store.outbox.refused()] == ["session-unknown"]


def test_a_log_that_forgot_is_an_alarm(pair: Pair) -> None:
    """What the real control plane answers to a POP that knows more than it does."""
    pair.follow()
    pair.store.apply((), pair.store.log.position.origin, at(10**6), at(10**6), pair.clock.now())
    with pytest.raises(Untrusted) as refusal:
        asyncio.run(pair.sync.poll())
    assert refusal.value.code == "log-rewind"
    assert not pair.sync.trust_state.in_sync()


def test_log_and_token_keys_rotate_while_a_pop_runs(pair: Pair) -> None:
    """The trust file is published, the POP reads it again, and the next answer is believed."""
    pair.follow()
    pair.clock.advance(1)
    for role in ("log", "token"):
        assert pair.call("POST", f"/v1/keys/{role}/rotate").status_code == 200
    with pytest.raises(Untrusted) as refusal:
        asyncio.run(pair.sync.poll())
    assert refusal.value.code == "trust-key-unknown"

    asyncio.run(pair.sync.look_at_trust())
    pair.follow()
    assert pair.sync.trust_state.in_sync()
    assert len(pair.sync.trust_state.keys()) == 2


def test_a_revoked_token_key_is_distrusted(pair: Pair) -> None:
    """At the priority of the log, not of the key set."""
    pair.follow()
    kid = pair.plane.keys.current("token").kid
    pair.call("POST", "/v1/revocations", json.dumps({"kind": "key", "kid": kid}).encode())
    asyncio.run(pair.sync.poll())

    assert pair.sync.trust_state.key_revoked(kid)
    keys = pair.sync.trust_state.keys()
    assert kid not in {key.kid for key in keys}


def test_a_policy_of_a_revoked_key_is_out_of_force_and_followed_by_one_that_is_not(pair: Pair) -> None:
    """Revoked while it runs: the POP drops it with the log's entry; the control plane has signed the policy again."""
    pair.follow()
    before, kid = pair.sync.trust_state.policy, pair.plane.keys.current("bundle").kid
    answer = pair.call("POST", "/v1/revocations", json.dumps({"kind": "key", "kid": kid}).encode())
    assert answer.status_code == 200
    asyncio.run(pair.sync.poll())
    assert pair.sync.trust_state.policy is None
    assert pair.sync.failures.untrusted["bundle-signature"] >= 1

    asyncio.run(pair.sync.look_at_trust())
    pair.follow()
    after = pair.sync.trust_state.policy
    assert before is not None
    assert after is not None
    assert (after.revision, after.table.to_value()) == (before.revision + 1, before.table.to_value())
    assert pair.sync.trust_state.in_sync()


def test_a_policy_of_a_key_that_is_rotated_out_is_signed_again_in_time(pair: Pair) -> None:
    """A POP that starts after the overlap finds a policy that it may open."""
    pair.follow()
    before = pair.plane.policies.bundle()
    pair.clock.advance(1)
    assert pair.call("POST", "/v1/keys/bundle/rotate", b"").status_code == 200
    asyncio.run(pair.sync.look_at_trust())
    pair.follow()
    pair.clock.advance(600)

    trust = pair.plane.keys.trust_file()
    stored = pair.plane.policies.bundle()
    bundle = open_bundle(stored.body, trust, pair.clock.now(), frozenset(), min_revision=0)
    assert (bundle.revision, bundle.previous[0]) == (before.revision + 1, before.hash)
    with pytest.raises(Untrusted):
        open_bundle(before.body, trust, pair.clock.now(), frozenset(), min_revision=0)
