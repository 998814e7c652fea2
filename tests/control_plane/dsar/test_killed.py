"""Killed at every line of a deletion: it goes on, and each effect is there once."""

import re
import signal

from sqlalchemy import select

from consent_core.resources import ROOT
from control_plane.dsar.steps import STEPS
from control_plane.store.schema import request_answers
from tests.control_plane.conftest import poll
from tests.control_plane.dsar import dying
from tests.control_plane.dsar.world import World, subject

# In the order in which they are done: devices and models, having nobody, before the places have answered.
ORDER = ["verify", "revoke", "enforced", "collect", "register", "purge", "devices", "models"]
ORDER += ["erased", "evidence", "salts", "notify"]
POINTS = [f"dsar-{step}-{line}" for step in ORDER for line in ("done", "marked")]
REGISTER = ["register-before-file", "register-after-file"]


def test_a_deletion_survives_a_kill_at_every_line(plane):
    """After each step's effect, and after its mark, the process dies; the request closes all the same, once."""
    world = World(plane).begin()
    visitor = world.visitor()
    opened = world.ask(visitor, "deletion")
    at = POINTS.index("dsar-register-done")
    for point in [*POINTS[:at], *REGISTER, *POINTS[at:]]:
        die_at(world, point)
    world.until_closed(opened.request.id)

    assert world.state(opened.request.id) == "fulfilled"
    about = [entry.kind for entry in poll(plane).entries if entry.subject == subject(visitor)]
    assert about == ["session", "purge"]
    assert [entry.request for entry in plane.requests.register.entries()] == [opened.request.id]
    with plane.database.read() as connection:
        kept = connection.scalars(select(request_answers.c.what).order_by(request_answers.c.what)).all()
        assert plane.proofs.count(connection, subject(visitor)) == 0
    assert kept == ["closing", "pack"]


def die_at(world, point):
    """The machine looks, in processes of their own, until one dies there; POPs do what they must in between."""
    for _ in range(6):
        now = world.plane.settings.clock.now()
        if dying.look(world.plane.settings.data, now, point) == -signal.SIGKILL:
            return
        world.turn()
    raise AssertionError(f"nothing came to {point}")


def test_every_named_line_is_tried():
    """A crash point of this room that no test reaches shows here."""
    sources = "".join(path.read_text() for path in (ROOT / "control_plane/dsar").glob("*.py"))

    assert set(ORDER) == {step.name for step in STEPS["deletion"]}
    assert set(re.findall(r'crash_point\("([^"]+)"\)', sources)) == set(REGISTER)
    assert len(re.findall(r'crash_point\(f"dsar-\{row.step\}-(\w+)"\)', sources)) == 2
