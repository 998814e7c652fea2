"""Files of real deletions that must fail by name, re-signed by the operator's own keys."""

import shutil
from dataclasses import replace

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Unavailable
from consent_core.evidence.opening import Circumstances
from consent_core.evidence.pack import ROLE, read_pack, sign_pack
from consent_core.evidence.verdict import judge
from consent_core.formats.statement import Deletion, open_statement
from consent_core.trust.sealing import unseal
from control_plane.app import create_app
from control_plane.dsar import store
from control_plane.dsar.closing import CLOSING, PACK
from control_plane.settings import Settings
from tests.control_plane.dsar.world import World, subject


def answers_of(world, opened):
    """What the asker reads with the secret."""
    with world.plane.database.read() as connection:
        answers = store.answers_of(connection, opened.request.id)
    return {what: unseal(opened.secret, sealed, what) for what, sealed in answers.items()}


@pytest.fixture(scope="module")
def closed(template, tmp_path_factory):
    """A deletion that was carried to its end: the world, its file and its closing statement."""
    data = tmp_path_factory.mktemp("deletion") / "data"
    shutil.copytree(template, data)
    world = World(create_app(Settings(data=data, clock=ManualClock()))).begin()
    opened = world.ask(world.visitor(), "deletion")
    world.until_closed(opened.request.id)
    answers = answers_of(world, opened)
    yield world, answers[PACK], answers[CLOSING].decode()
    world.plane.close()


def judged(world, data, closing=None):
    trust = world.plane.keys.trust_file().to_bytes()
    return judge(data, trust, Circumstances(world.plane.settings.clock.now(), closing=closing))


def refused(world, data, code, number, closing=None):
    verdict = judged(world, data, closing)
    named = {(found.code, result.number) for result in verdict.results for found in result.findings}

    assert (code, number) in named
    assert (verdict.results[number].verdict, verdict.exit_code) == ("fails", 1)


def resigned(world, data, **changes):
    return sign_pack(replace(read_pack(data).pack, **changes), world.plane.keys.current(ROLE))


def test_the_file_itself_holds(closed):
    """What follows is refused for what was changed, and for nothing else."""
    assert judged(*closed).exit_code == 0


@pytest.mark.parametrize("opened", [(), ("salts",), ("notify",), ("salts", "notify", "erased")])
def test_what_is_open_is_not_the_operators_to_say(closed, opened):
    """Emptied, cut or filled by hand: the request's steps say what is open."""
    world, data, _ = closed
    refused(world, resigned(world, data, open=opened), "incomplete", 15)


def test_a_second_file_is_not_the_one_that_was_closed(closed):
    """The same content made a second later is another file."""
    world, data, closing = closed
    other = resigned(world, data, made_at=read_pack(data).pack.made_at + 1)

    assert judged(world, other).exit_code == 0
    refused(world, other, "closing-mismatch", 15, closing)


@pytest.mark.parametrize("place", ["edge/frankfurt-1", "edge/tokyo-1", "control-plane/main"])
def test_a_statement_of_deletion_cannot_be_left_out(closed, place):
    """Of no place, the control plane included."""
    world, data, _ = closed
    kept = tuple(record for record in read_pack(data).pack.records if not _deletes(record.body, place))

    refused(world, resigned(world, data, records=kept), "deletion-missing", 13)


def _deletes(body, place):
    stated = [open_statement(text, lambda *_: None) for text in body["jws"]] if body["kind"] == "statements" else []
    return any(isinstance(one, Deletion) and one.place == place for one in stated)


@pytest.mark.parametrize("kind", ["revocation", "receipt", "request", "attesters", "endorsement", "policy"])
def test_no_kind_of_document_can_be_left_out(closed, kind):
    """Each is missed by something that is still there."""
    world, data, _ = closed
    kept = tuple(record for record in read_pack(data).pack.records if record.body["kind"] != kind)

    assert judged(world, resigned(world, data, records=kept)).exit_code == 1


def one_remains(said):
    return replace(said, remaining={**said.remaining, "history": 1})


def uncounted(said):
    less = [
        {name: rows for name, rows in parts.items() if name != "history"} for parts in (said.deleted, said.remaining)
    ]
    return replace(said, deleted=less[0], remaining=less[1])


LIES = {"edge/tokyo-1": one_remains, "edge/frankfurt-1": uncounted}


def test_a_place_that_did_not_delete_everything_closes_no_request(plane):
    """With one row remaining, and a part uncounted: no file is given out; one made all the same fails by both names."""
    world = World(plane).begin()
    world.tweak = lambda said: LIES[said.place](said) if isinstance(said, Deletion) else said
    visitor = world.visitor()
    opened = world.ask(visitor, "deletion")
    for _ in range(5):
        world.carry()
        world.turn()
    with plane.database.read() as connection:
        request = store.find(connection, opened.request.id)
    refusal = pytest.raises(Unavailable, match=r"deletion-parts, deletion-remaining")

    assert request.record is not None
    assert (request.state in store.ACTIVE, PACK in answers_of(world, opened)) == (True, False)
    with refusal:
        plane.requests.machine.doing.closings.evidence(request, subject(visitor))
