"""`edge attest`: what an operator is told of places that must attest."""

import pytest

from edge_cli.commands.attest import problems_of

GOOD = {
    "place": "edge/tokyo-1", "keys": [{"kid": "attester-0011", "refused": ""}], "life": 1, "n": 9, "missing": 0,
    "at": 1_800_000_000, "late": False, "position": 4,
}  # fmt: skip


def told(forks=(), **changes):
    return {"list": 1, "places": [{**GOOD, **changes}], "forks": list(forks), "at": 1_800_000_060}


def test_a_place_in_time_is_no_problem():
    """Nothing missing, nothing late, one story."""
    assert problems_of(told()) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"missing": 2}, "2 numbers are missing"),
        ({"late": True}, "nothing since 2027"),
        ({"late": True, "at": None}, "nothing since ever"),
        ({"keys": [{"kid": "attester-0011", "refused": "attestation-forked"}]}, "is refused"),
        ({"forks": [{"name": "edge/tokyo-1/1/4", "digest": "sha256:00", "at": 1}]}, "a second story"),
    ],
)
def test_each_problem_is_named(changes, word):
    """By place, for people."""
    (problem,) = problems_of(told(**changes))

    assert "edge/tokyo-1" in problem
    assert word in problem
