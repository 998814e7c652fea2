"""What the hosts suite makes of its loads."""

from latency_gate.hosts import (
    OURS,
    Load,
    Slice,
    judge,
)
from latency_gate.judge import BROKEN, OK, OVER


def load(host, connections=1, requests=100, wrong=0, fresh=True):
    return Load(host, connections, fresh, (Slice(requests, 1.0, 1.0, 2.0, wrong, 0.0, 100.0),))


def statuses(*loads):
    return [row.status for row in judge(list(loads))]


def test_a_faster_peer_turns_the_gate_red():
    """Ours must answer at least as many decisions as each peer."""
    assert statuses(load(OURS), load("peer", requests=100)) == [OK, OK]
    assert statuses(load(OURS), load("peer", requests=101)) == [OVER, OK]


def test_a_peer_may_have_to_be_beaten_by_more_than_one():
    """The peer that keeps its memory resident is judged against the promise over it."""
    tuned = Load("tuned", 1, True, load("tuned", requests=90).slices, at_least=1.2)

    assert statuses(load(OURS, requests=108), tuned) == [OK, OK]
    assert statuses(load(OURS, requests=107), tuned) == [OVER, OK]


def test_each_number_of_connections_is_judged():
    """A peer that is faster under load is not hidden by one connection."""
    loads = (load(OURS), load(OURS, 4), load("peer", requests=50), load("peer", 4, requests=150))
    assert statuses(*loads) == [OK, OVER, OK]


def test_kept_instances_gate_nothing():
    """A host that reuses instances does something else."""
    assert statuses(load(OURS), load("peer", requests=900, fresh=False)) == [OK]


def test_defaults_are_no_decisions():
    """A peer is not faster for giving up, and ours may not give up at all."""
    assert statuses(load(OURS), load("peer", requests=150, wrong=60)) == [OK, OK]
    assert statuses(load(OURS, wrong=1)) == [BROKEN]


def test_rounds_are_compared_pair_by_pair():
    """A round in which the machine was busy meets both; the median pair decides."""

    def slices(*rates):
        return tuple(Slice(rate, 1.0, 1.0, 2.0, 0, 0.0, 100.0) for rate in rates)

    ours = Load(OURS, 1, True, slices(100, 20, 100))
    assert [row.measured for row in judge([ours, Load("peer", 1, True, slices(50, 10, 200))])] == [2.0, 0]
