"""Who may ask for what; what a hold, a cancel and a silent place do; and that a restored copy is erased again."""

import json
import shutil

import pytest
from sqlalchemy import func, select

from consent_core.errors import Unavailable
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.token import CATEGORIES
from consent_core.trust.sealing import new_secret, public_of, seal, unseal
from consent_core.trust.spiffe import SpiffeId
from control_plane.app import create_app
from control_plane.dsar.asking import Shown
from control_plane.dsar.intake import DAY_S, RECEIPT_WAIT_S, Wanted
from control_plane.store.schema import erasures, log, visitors
from tests.control_plane.conftest import Browser, Caller, poll, refused_with
from tests.control_plane.dsar.world import World, subject

JSON = {"content-type": "application/json"}
TOKYO = SpiffeId.of("ui-tools", "edge", "tokyo-1")


@pytest.fixture
def world(plane):
    return World(plane).begin()


@pytest.fixture
def intake(plane):
    return plane.requests.intake


def receipt_of(plane, visitor):
    with plane.database.read() as connection:
        bodies = [json.loads(proof.body) for proof in plane.proofs.of(connection, subject(visitor))]
    return next(body["jws"] for body in bodies if body["kind"] == "receipt")


def known(plane):
    with plane.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(visitors))


def test_a_receipt_alone_objects_at_once_and_waits_to_delete(world, intake):
    """A stolen receipt takes nothing away that the session does not let go within 10 days."""
    visitor = world.visitor()
    receipt = receipt_of(world.plane, visitor)
    objection = intake.by_receipt(Wanted("objection"), receipt)
    deletion = intake.by_receipt(Wanted("deletion"), receipt)
    world.until_closed(objection.request.id)
    world.plane.settings.clock.advance(RECEIPT_WAIT_S - 10 * 400)
    world.carry()

    assert world.state(objection.request.id) == "fulfilled"
    assert (world.state(deletion.request.id), known(world.plane)) == ("waiting", 1)
    (shown,) = [one for one in world.plane.requests.asking.of_session(visitor.session) if one["kind"] == "deletion"]
    assert shown["waits_until"] == deletion.request.confirmed_at
    world.plane.requests.asking.cancel(deletion.request.id, Shown(grant=visitor.session))
    world.plane.settings.clock.advance(RECEIPT_WAIT_S)
    world.carry()
    assert (world.state(deletion.request.id), known(world.plane)) == ("revoked", 1)


@pytest.mark.parametrize("kind", ["access", "portability", "rectification"])
def test_a_receipt_alone_is_never_answered(plane, browser, intake, kind):
    """Anybody may hold a copy of a receipt."""
    visitor = browser()
    visitor.grant("contextual")
    refused_with("request-verification", 403, intake.by_receipt, Wanted(kind), receipt_of(plane, visitor))


def test_an_answer_is_given_once_a_day_and_not_to_a_young_session(world, intake):
    """A stolen cookie that was rotated opens nothing before a day is over."""
    visitor = world.visitor()
    first = world.ask(visitor, "access")
    for place in ("edge/frankfurt-1", "edge/tokyo-1"):
        world.carry()
        world.plane.requests.gathering.take(place, first.request.id, b"sealed elsewhere")
    world.carry()
    assert world.state(first.request.id) == "fulfilled"
    refused_with("request-too-soon", 429, world.ask, visitor, "access")

    world.plane.settings.clock.advance(DAY_S)
    visitor.grant("experimental")
    refused_with("request-too-soon", 429, world.ask, visitor, "access")
    world.plane.settings.clock.advance(DAY_S)
    assert world.ask(visitor, "access").secret


def test_the_control_planes_part_opens_for_the_asker_alone(world):
    """What lies here is ciphertext: neither this store nor a POP that carries it can read it."""
    visitor = world.visitor()
    opened = world.ask(visitor, "access")
    world.carry()
    answers = world.plane.requests.asking.answers(opened.request.id, Shown(secret=opened.secret))
    (what,) = answers
    told = json.loads(unseal(opened.secret, answers[what], what))

    assert what == "part control-plane/main"
    assert told["data"]["subject"] == subject(visitor)
    assert told["data"]["versions"][0]["categories"] == ["contextual", "behavioral"]
    assert {"purposes", "recipients", "retention_days", "source", "complaint", "sold_or_shared"} <= told.keys()
    assert subject(visitor).encode() not in answers[what]
    with pytest.raises(Exception, match="not sealed to this secret"):
        unseal(new_secret(), answers[what], what)
    with pytest.raises(Exception, match="not sealed to this secret"):
        unseal(opened.secret, answers[what], "pack")


def test_a_second_request_of_a_kind_is_the_first_without_its_secret(world, intake):
    """Who asks again does not get what is sealed to the first asker; the session ends a receipt's waiting."""
    visitor = world.visitor()
    first = intake.by_receipt(Wanted("deletion"), receipt_of(world.plane, visitor))
    second = world.ask(visitor, "deletion")

    assert (second.request.id, second.secret) == (first.request.id, None)
    assert second.request.confirmed_at <= world.plane.settings.clock.now()


def test_a_silent_place_keeps_the_request_open_and_is_named(world):
    """Partial is said with the party and an alarm, never done; back again, it completes."""
    visitor = world.visitor()
    opened = world.ask(visitor, "deletion")
    world.silent.add("tokyo-1")
    for _ in range(4):
        world.carry()
        world.turn()
    world.plane.settings.clock.advance(3_700)
    (status,) = world.plane.requests.asking.by_operator(opened.request.id)

    assert (status["state"], status["partial"]) == ("in_progress", True)
    assert status["processing_details"] == ["enforced: edge/tokyo-1"]
    assert "owed: enforced of edge/tokyo-1" in status["alarms"]
    world.silent.clear()
    world.until_closed(opened.request.id)
    assert world.state(opened.request.id) == "fulfilled"


def test_a_hold_stops_the_erasure_and_every_sweep(world, intake):
    """Until it is lifted by name nothing of this person goes: neither by request nor because it ran out."""
    visitor = world.visitor()
    opened = world.ask(visitor, "deletion")
    intake.hold(opened.request.id, "spiffe://ui-tools/operator/ann")
    for _ in range(4):
        world.carry()
        world.turn()
    assert world.steps(opened.request.id)["register", "request"] == "open"
    (status,) = world.plane.requests.asking.by_operator(opened.request.id)
    assert status["trouble"] == "request-held"
    world.plane.settings.clock.advance(1_200 * DAY_S)
    world.plane.sweep()
    with world.plane.database.read() as connection:
        assert (known(world.plane), world.plane.proofs.count(connection, subject(visitor)) > 0) == (1, True)

    intake.hold(opened.request.id, "")
    world.plane.sweep()
    with world.plane.database.read() as connection:
        assert (known(world.plane), world.plane.proofs.count(connection, subject(visitor))) == (0, 0)


def test_who_changed_a_request_is_kept_with_it(world):
    """Held, lifted and cancelled by name and note, over the operators' routes."""
    visitor = world.visitor()
    opened = world.ask(visitor, "deletion")
    operator, path = Caller(world.plane.mesh_app), f"/v1/dsar/requests/{opened.request.id}"
    for what, said in [("hold", {"by": "ann: a court"}), ("hold", {"lifted_by": "ann: over"}), ("cancel", {"by": "x"})]:
        last = operator("POST", f"{path}/{what}", content=json.dumps(said))
        assert last.status_code == 200, last.text

    assert [change["by"] for change in last.json()["amended"]] == ["ann: a court", "lifted ann: over", "x"]
    assert last.json()["state"] == "revoked"


def test_a_guardian_who_is_verified_ends_the_waiting(world, intake):
    """By name and note; what does not wait has nothing to verify."""
    visitor = world.visitor()
    waiting = intake.by_receipt(Wanted("deletion"), receipt_of(world.plane, visitor)).request.id
    refused_with("request-verification", 403, intake.verify, waiting, "guardian", " ")
    refused_with("request-verification", 403, intake.verify, waiting, "anybody", "ann")
    operator = Caller(world.plane.mesh_app)
    said = json.dumps({"verified_by": "guardian", "verifier": "ann: the mother, by passport"})
    shown = operator("POST", f"/v1/dsar/requests/{waiting}/verify", content=said).json()

    assert (shown["state"], shown["verified_by"]) == ("open", "guardian")
    assert shown["verifier"] == "ann: the mother, by passport"
    refused_with("request-final", 409, intake.verify, waiting, "guardian", "ann")
    world.until_closed(waiting)


def test_a_request_is_taken_back_until_it_is_registered(world, intake):
    """After that it is final, also where the mark of the step was lost."""
    visitor = world.visitor()
    opened = world.ask(visitor, "deletion")
    world.plane.requests.register.add(subject(visitor), opened.request.id, 1)

    refused_with("request-final", 409, intake.cancel, opened.request.id)


def test_a_request_is_found_by_its_secret_or_its_person(world, browser):
    """Another session and another secret see nothing, not even that it exists."""
    visitor, other = world.visitor(), browser()
    other.grant("contextual")
    opened = world.ask(visitor, "objection")
    asking = world.plane.requests.asking

    assert asking.status(opened.request.id, Shown(secret=opened.secret))["id"] == opened.request.id
    assert asking.status(opened.request.id, Shown(grant=visitor.session))["id"] == opened.request.id
    for shown in (Shown(), Shown(grant=other.session), Shown(secret=new_secret())):
        refused_with("request-unknown", 404, asking.status, opened.request.id, shown)


def test_the_same_on_either_store(either_plane):
    """A look at a request and its answers changes nothing: a read-only transaction is enough."""
    world = World(either_plane)
    visitor = Browser(either_plane)
    visitor.grant("contextual")
    opened = world.ask(visitor, "objection")
    asking, shown = either_plane.requests.asking, Shown(grant=visitor.session)

    assert asking.status(opened.request.id, shown)["state"] == "open"
    assert asking.answers(opened.request.id, shown) == {}
    assert [one["id"] for one in asking.of_session(visitor.session)] == [opened.request.id]
    assert [one["id"] for one in asking.by_operator()] == [opened.request.id]


def test_an_edge_never_names_a_person(plane, browser):
    """It passes on what the person shows; a name is no part of what it may say."""
    visitor = browser()
    visitor.grant("contextual")
    edge = Caller(plane.mesh_app, TOKYO)
    asked = {"pop": "tokyo-1", "kind": "deletion", "session": visitor.session}

    assert edge("POST", "/v1/requests", content=json.dumps(asked), headers=JSON).json()["request_secret"]
    for more in ({"person": subject(visitor)}, {"session": None}, {"pop": "paris-1"}, {"kind": "everything"}):
        answer = edge("POST", "/v1/requests", content=json.dumps({**asked, **more}), headers=JSON)
        assert answer.status_code in (400, 403), more


def test_a_rectification_never_widens(world):
    """A child's age band narrows at once; the new version says so."""
    visitor = world.visitor()
    opened = world.ask(visitor, "rectification", age_band="under-13")
    world.carry()

    assert world.state(opened.request.id) == "fulfilled"
    answer = visitor.refresh()
    assert "behavioral" not in answer.categories
    refused_with("bad-request", 400, world.ask, visitor, "rectification")


COPIES = {
    "database": ["consent.db"],
    "database and keys": ["consent.db", "proofs"],
    "ledger": ["ledger"],
    "everything": ["consent.db", "proofs", "ledger"],
}


@pytest.mark.parametrize("names", COPIES.values(), ids=COPIES)
def test_a_copy_from_before_is_erased_again_before_anything_is_served(world, names):
    """The consent database, the proofs' keys, the ledger, or all of them, put back as before the request."""
    visitor, plane = world.visitor(), world.plane
    home, copy = plane.settings.home, plane.settings.data / "copy"
    plane.database.checkpoint()
    shutil.copytree(home, copy)
    opened = world.ask(visitor, "deletion")
    world.until_closed(opened.request.id)
    plane.close()
    for name in names:
        put_back(copy / name, home / name)
    again = create_app(plane.settings)

    assert known(again) == 0
    with again.database.read() as connection:
        assert again.proofs.of(connection, subject(visitor)) == []
        assert again.proofs.count(connection, subject(visitor)) == 0
    assert [entry.kind for entry in poll(again).entries if entry.subject == subject(visitor)][-1:] == ["purge"]
    again.close()


def purge(plane, visitor):
    return plane.revoking.revoke(RevocationRequest("purge", subject(visitor), CATEGORIES))


def test_an_operators_purge_is_done_again_at_a_copy_and_leaves_the_proofs(world):
    """It is in the register, too; its proofs have an end of their own, and no request is closed by it."""
    visitor, plane = world.visitor(), world.plane
    plane.database.checkpoint()
    shutil.copy(plane.settings.home / "consent.db", plane.settings.data / "copy.db")
    purge(plane, visitor)
    plane.close()
    put_back(plane.settings.data / "copy.db", plane.settings.home / "consent.db")
    again = create_app(plane.settings)

    assert known(again) == 0
    assert [entry.kind for entry in poll(again).entries if entry.subject == subject(visitor)] == ["purge"]
    with again.database.read() as connection:
        assert again.proofs.count(connection, subject(visitor)) > 0
    entries = len(poll(again).entries)
    again.close()
    third = create_app(plane.settings)
    assert len(poll(third).entries) == entries
    third.close()


def test_a_purge_that_was_killed_before_the_register_is_remembered_at_the_next_start(world):
    """The log says whom; the entry is as old as the purge, and goes with it."""
    visitor, plane = world.visitor(), world.plane
    entry = purge(plane, visitor)
    plane.requests.register.forget(entry.at)
    plane.close()
    again = create_app(plane.settings)

    assert [(one.subject, one.at) for one in again.requests.register.entries()] == [(subject(visitor), entry.at)]
    again.close()


def test_a_person_on_hold_is_not_purged(world, intake):
    """An operator lifts the hold first, by name; until then not even the register names the person."""
    visitor = world.visitor()
    held = world.ask(visitor, "restriction")
    with pytest.raises(Unavailable) as refused:
        purge(world.plane, visitor)
    assert refused.value.code == "request-held"

    assert world.plane.requests.register.entries() == []
    assert known(world.plane) == 1
    intake.hold(held.request.id, "")
    assert purge(world.plane, visitor).kind == "purge"


def test_entry_and_register_go_when_no_copy_is_older(world):
    """What names the erased person goes with the last copy that could bring them back, and not before."""
    visitor, plane = world.visitor(), world.plane
    purge(plane, visitor)
    kept_s = plane.settings.register_kept_days * DAY_S
    plane.settings.clock.advance(kept_s)
    plane.sweep()
    assert subject(visitor) in [entry.subject for entry in poll(plane).entries]

    plane.settings.clock.advance(1)
    plane.sweep()
    assert plane.requests.register.entries() == []
    with plane.database.read() as connection:
        assert subject(visitor) not in connection.scalars(select(log.c.subject)).all()
        assert connection.execute(select(erasures)).all() == []


def put_back(copy, place):
    for old in place.parent.glob(f"{place.name}-*"):
        old.unlink()
    if copy.is_dir():
        shutil.rmtree(place)
        shutil.copytree(copy, place)
    else:
        shutil.copy(copy, place)


def test_a_register_that_does_not_open_keeps_the_control_plane_from_starting(plane):
    """Nothing is served by who cannot know whom it must not serve."""
    plane.requests.register.add("e9" * 32, "dsr-1", 1)
    (entry,) = [path for path in plane.settings.register_home.iterdir() if len(path.name) == 64]
    entry.write_bytes(entry.read_bytes()[:-1] + b"x")

    refused_with("erasure-register", 502, create_app, plane.settings)


def test_a_sealed_answer_opens_once_in_one_way():
    """Every byte counts."""
    secret = new_secret()
    sealed = seal(public_of(secret), b"hers", "pack")
    assert unseal(secret, sealed, "pack") == b"hers"
    for at in range(len(sealed)):
        broken = bytes([*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]])
        refused_with("sealed-answer", 502, unseal, secret, broken, "pack")
