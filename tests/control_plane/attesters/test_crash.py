"""Killed at every named line of attesters and proofs: all or nothing, and a repetition counts once."""

import re
import shutil

import pytest

from consent_core.resources import ROOT
from control_plane.store.schema import facts
from tests.control_plane.attesters.test_intake import rows
from tests.control_plane.attesters.victim import SUBJECT, enrol, opened, run

ROOMS = ("attesters", "proofs")
ELSEWHERE = {"proof-sealed"}  # a grant passes it: tests/control_plane/test_crash_points.py
POINTS = {"attest": "attestation-taken", "flush": "statements-flushed", "destroy": "proof-shredded"}


@pytest.fixture
def place(template, tmp_path):
    """A control plane that has endorsed one place."""
    directory = tmp_path / "data"
    shutil.copytree(template, directory)
    enrol(directory)
    return directory


def held(directory):
    """How many attestations, proofs that open, and rows of proofs there are."""
    plane = opened(directory, later=120)
    with plane.database.read() as connection:
        proofs = (len(plane.proofs.of(connection, SUBJECT)), plane.proofs.count(connection))
    taken = sum(row.kind == "attestation" for row in rows(plane, facts))
    plane.close()
    return (taken, *proofs)


def test_an_attestation_is_taken_wholly_or_not_at_all(place):
    """Fact and leaf are one transaction; sent again it counts once."""
    assert run(place, "attest", POINTS["attest"]) == -9
    assert held(place)[0] == 0
    assert (run(place, "attest"), run(place, "attest")) == (0, 0)
    assert held(place)[0] == 1


def test_statements_are_placed_once(place):
    """The leaf's proof and the mark that it was placed are one transaction."""
    assert run(place, "state") == 0
    assert run_flush(place, POINTS["flush"]) == -9
    assert held(place)[1:] == (1, 1)
    assert run_flush(place) == 0
    assert held(place)[1:] == (1, 1)


def run_flush(directory, crash=""):
    """Half a minute after the statement came."""
    return run(directory, "flush", crash, later=100)


def test_destroyed_proofs_stay_destroyed(place):
    """Keys go first: killed then, the rows that are left open for nobody, and a repetition takes them away."""
    assert run(place, "state") == 0
    assert run_flush(place) == 0
    assert held(place)[1:] == (1, 1)
    assert run(place, "destroy", POINTS["destroy"]) == -9
    assert held(place)[1:] == (0, 1)
    assert run(place, "destroy") == 0
    assert held(place)[1:] == (0, 0)


def test_the_points_are_known():
    """Every named line of these rooms is tried here, or where it says."""
    sources = "".join(path.read_text() for room in ROOMS for path in (ROOT / "control_plane" / room).glob("*.py"))
    named = set(re.findall(r'crash_point\("([^"]+)"\)', sources))

    assert named - ELSEWHERE == set(POINTS.values())
