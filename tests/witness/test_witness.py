"""A witness signs what only grew, once it is on its disk, and nothing else; forks it keeps."""

import asyncio
import multiprocessing
import signal
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_core.clock import ManualClock
from consent_core.crash import arm
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.add_checkpoint import AddCheckpoint, read_add_checkpoint, read_size, write_add_checkpoint
from consent_core.formats.note import open_checkpoint
from consent_core.formats.tlog import EMPTY_ROOT
from consent_core.trust.keys import KeyStore
from consent_core.trust.signatures import verify_signature
from tests.witness.logs import ORIGIN, Log, signer
from witness.judge import Head
from witness.keys import WitnessKey
from witness.process import KnownLogs
from witness.server import WitnessServer
from witness.store import MAX_EVIDENCE, HeadStore

NOW = 1_800_000_000


@pytest.fixture
def log():
    return Log().grow(1_000)


def witness(directory: Path, log: Log, clock=None) -> WitnessServer:
    key = WitnessKey.open(directory, "w1", create=True)
    return WitnessServer(key, HeadStore(directory / "heads.db"), lambda: log.known, clock or ManualClock(NOW))


@pytest.fixture
def w1(tmp_path, log):
    server = witness(tmp_path / "w1", log)
    yield server
    server.store.close()


def answer(server, body):
    response = server.add_checkpoint(body)
    return response.status_code, response.headers.get("consent-edge-code", ""), bytes(response.body)


def test_what_grew_is_cosigned(w1, log):
    """The line verifies under the witness's key, with its time; asked again, it signs again."""
    assert answer(w1, log.request(0, 700))[0] == 200
    status, _, line = answer(w1, log.request(700, 1_000))
    opened = open_checkpoint(log.note(1_000) + line, ORIGIN, log.known[ORIGIN], [w1.key.trusted], 1, verify_signature)

    assert (status, opened.witness_time, opened.checkpoint.size) == (200, NOW, 1_000)
    assert answer(w1, log.request(1_000, 1_000))[0] == 200
    assert w1.answered == {"cosigned": 3}


def test_an_empty_log_is_cosigned(tmp_path):
    """The first checkpoint of a log has nothing in it; from then on it may not be another empty one's."""
    log = Log()
    server = witness(tmp_path, log)

    assert answer(server, log.request(0))[0] == 200
    assert server.store.head(ORIGIN) == Head(0, EMPTY_ROOT)
    server.store.close()


def test_a_log_that_does_not_know_how_far_the_witness_is_is_told(w1, log):
    """409 with the size, so that a restarted or restored sequencer learns it."""
    answer(w1, log.request(0, 700))
    response = w1.add_checkpoint(log.request(0, 1_000))

    assert (response.status_code, read_size(bytes(response.body))) == (409, 700)
    assert response.headers["content-type"] == "text/x.tlog.size"
    assert answer(w1, log.request(650, 1_000))[:2] == (409, "witness-behind")


def test_a_fork_is_refused_and_kept(w1, log):
    """Two roots of one size, or a longer story that does not contain the one it saw."""
    answer(w1, log.request(0, 700))
    same_size, longer = log.fork(600).grow(100, "b"), log.fork(600).grow(500, "b")

    assert answer(w1, same_size.request(700, 700, proof=[]))[:2] == (409, "ledger-forked")
    assert answer(w1, same_size.request(0, 700))[:2] == (409, "ledger-forked")
    assert answer(w1, longer.request(700))[:2] == (422, "proof")
    assert answer(w1, longer.request(0))[:2] == (409, "witness-behind")
    assert w1.store.head(ORIGIN) == Head(700, log.checkpoint(700).root)
    kept = w1.store.evidence(ORIGIN)
    assert [(item.code, item.note) for item in kept] == [("ledger-forked", same_size.note()), ("proof", longer.note())]
    assert {item.head for item in kept} == {log.note(700)}


def test_evidence_does_not_fill_the_disk(w1, log):
    """A log that lies without end is written down a hundred times."""
    answer(w1, log.request(0, 700))
    for i in range(MAX_EVIDENCE + 5):
        answer(w1, log.fork(600).grow(200 + i, "b").request(700))

    assert len(w1.store.evidence(ORIGIN)) == MAX_EVIDENCE


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (400, "add-checkpoint-malformed", lambda log: b""),
        (400, "add-checkpoint-malformed", lambda log: log.request(0).replace(b"old 0", b"old 00")),
        (400, "add-checkpoint-malformed", lambda log: log.request(0).replace(b"old 0", b"old -1")),
        (400, "add-checkpoint-malformed", lambda log: log.request(0).replace(b"old 0", b"old 9999999999999999999")),
        (400, "add-checkpoint-malformed", lambda log: log.request(0).replace(b"old 0\n", b"old 0\nAAAA\n")),
        (400, "add-checkpoint-malformed", lambda log: log.request(0).replace(b"old 0\n", b"old 0\n\xff\n")),
        (400, "add-checkpoint-malformed", lambda log: log.request(0, proof=[b"h" * 32] * 64)),
        (400, "add-checkpoint-malformed", lambda log: log.request(1_001, 1_000)),
        (400, "note-malformed", lambda log: log.request(0)[:-1]),
        (400, "note-malformed", lambda log: b"old 0\n\nno note"),
        (404, "note-origin", lambda log: Log(log.key, log.leaves, "example.com/other").request(0)),
        (403, "note-signature", lambda log: Log(signer(b"x"), log.leaves).request(0)),
        (403, "note-signature", lambda log: log.request(0).replace(b"\n1000\n", b"\n1001\n")),
        (422, "proof", lambda log: log.request(0, proof=[b"h" * 32])),
    ],
)
def test_whatever_is_wrong_has_its_own_answer(w1, log, status, code, body):
    """The statuses are the specification's, in its order; nothing is remembered."""
    assert answer(w1, body(log))[:2] == (status, code)
    assert w1.store.head(ORIGIN) == Head()


def test_a_proof_is_needed_even_for_an_honest_log(w1, log):
    """The witness believes no claim without a proof: a missing or a wrong one is no growth."""
    answer(w1, log.request(0, 700))

    assert answer(w1, log.request(700, 1_000, proof=[]))[:2] == (422, "proof")
    assert answer(w1, log.request(700, 1_000, proof=[b"h" * 32] * 6))[:2] == (422, "proof")
    assert answer(w1, log.request(700, 700, proof=[b"h" * 32]))[:2] == (422, "proof")


def test_a_disk_that_refuses_means_no_signature(w1, log):
    """What could not be written down is not signed."""
    answer(w1, log.request(0, 700))
    w1.store._connection.execute("PRAGMA query_only = ON")

    with pytest.raises(Unavailable):
        w1.add_checkpoint(log.request(700, 1_000))
    assert w1.store.head(ORIGIN).size == 700


def _die_at(point, directory):
    log = Log().grow(1_000)
    server = witness(directory, log)
    server.add_checkpoint(log.request(0, 700))
    arm(point)
    server.add_checkpoint(log.request(700, 1_000))


@pytest.mark.parametrize(
    ("point", "size"), [("witness-before-commit", 700), ("witness-committed", 1_000), ("witness-signed", 1_000)]
)
def test_killed_at_every_named_line_it_signs_no_other_story(tmp_path, log, point, size):
    """Either it forgot and no signature left it, or it remembers; a fork is refused in both cases."""
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=_die_at, args=(point, tmp_path))
    child.start()
    child.join(600)
    assert child.exitcode == -signal.SIGKILL

    server = witness(tmp_path, log)
    assert server.store.head(ORIGIN).size == size
    assert answer(server, log.fork(650).grow(350, "b").request(size, proof=[]))[0] in (409, 422)
    assert answer(server, log.request(size, 1_000))[0] == 200
    server.store.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 120), st.integers(0, 120)), max_size=12))
def test_whatever_is_asked_it_never_signs_two_stories(tmp_path_factory, asked):
    """Requests of two stories in any order: all it ever signed is the beginning of one list."""
    one = Log().grow(120)
    other = one.fork(40).grow(80, "b")
    server = witness(tmp_path_factory.mktemp("w"), one)
    signed = []
    for is_other, old, size in asked:
        story = other if is_other else one
        if server.add_checkpoint(story.request(min(old, size), size)).status_code == 200:
            signed.append(story.checkpoint(size))
    server.store.close()

    assert [c.size for c in signed] == sorted(c.size for c in signed)
    assert all(c == one.checkpoint(c.size) for c in signed) or all(c == other.checkpoint(c.size) for c in signed)


def test_a_witness_follows_the_trust_file(tmp_path):
    """A following key of the ledger is seen at once; a revoked one, or one whose time is over, is not taken."""
    clock = ManualClock(NOW)
    keys = KeyStore.open(tmp_path, create=True, clock=clock)
    logs = KnownLogs(tmp_path / "trust.json", clock)
    first = keys.current("ledger").kid

    assert [key.kid for key in logs()[ORIGIN]] == [first]
    second = keys.rotate("ledger", overlap_s=60).kid
    assert [key.kid for key in logs()[ORIGIN]] == [first, second]
    clock.advance(61)
    assert [key.kid for key in logs()[ORIGIN]] == [second]
    keys.set_trust(revoked={second: NOW})
    assert logs() == {ORIGIN: []}
    (tmp_path / "trust.json").unlink()
    with pytest.raises(Unavailable):
        logs()


def test_the_key_is_the_witnesses_own(tmp_path):
    """Made once, private to its owner, and refused under another name or damaged."""
    key = WitnessKey.open(tmp_path, "w1", create=True)

    assert WitnessKey.open(tmp_path, "w1").trusted == key.trusted
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Untrusted):
        WitnessKey.open(tmp_path, "w2")
    (tmp_path / "key.json").write_text("{}")
    with pytest.raises(Untrusted):
        WitnessKey.open(tmp_path, "w1")
    with pytest.raises(Unavailable):
        WitnessKey.open(tmp_path / "none", "w1")
    assert "private" not in repr(key)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_refusal(data):
    """A parser of public bytes raises our errors and nothing else."""
    for read in (read_add_checkpoint, read_size):
        with suppress(Untrusted):
            read(data)


def test_requests_come_back_whole():
    """What a log writes is what a witness reads."""
    request = AddCheckpoint(7, (b"a" * 32, b"b" * 32), Log().grow(9).note())

    assert read_add_checkpoint(write_add_checkpoint(request)) == request


async def _posted(server, body):
    transport = httpx.ASGITransport(server.application())
    async with httpx.AsyncClient(transport=transport, base_url="http://w1") as client:
        return await client.post("/add-checkpoint", content=body)


def test_over_http_too_long_a_body_is_not_read(w1, log):
    """No client fills the memory of a witness; a request that is whole gets its line."""
    assert asyncio.run(_posted(w1, b"x" * 200_000)).status_code == 413
    assert asyncio.run(_posted(w1, log.request(0))).text.startswith("\u2014 w1 ")
