"""What an observer of the public ledger learns from the number of leaves: no better than the prior.

The observer sees every beat's number of leaves about people, knows the law (rates, how many leaves a yes, a no and a
request make) and learns the best rule from a world of the same kind. A yes is one leaf, a no two, a request three and
two further ones when its statements come, whatever the number of POPs (statements of one step share a leaf).
"""

import random
from collections import Counter, defaultdict
from functools import cache

import pytest

from control_plane.ledger.beats import LEAST, RANKS, Day, Item, arranged, padded_size, size_after

BEAT_S = 30.0
KINDS = {"grant": 70, "no": 27, "request": 3}
LEAVES = {"grant": 1, "no": 2, "request": 3}
RATES = (1 / 60, 1 / 20, 1 / 6, 1.0, 10.0)
EVENTS = 12_000
SLACK = 0.02  # points over the prior that an observer may have
Seen = tuple[int, int, int]


def happened(rate: float, pops: int, rng: random.Random) -> tuple[Counter[int], list[tuple[int, str]]]:
    """Leaves by beat, and each event's beat and kind."""
    leaves: Counter[int] = Counter()
    events: list[tuple[int, str]] = []
    at = 0.0
    while len(events) < EVENTS:
        at += rng.expovariate(rate)
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        events.append((int(at / BEAT_S), kind))
        leaves[int(at / BEAT_S)] += LEAVES[kind]
        for step in (rng.uniform(0.5, 2), rng.uniform(3, 10)) if kind == "request" else ():
            leaves.update({int((at + step + rng.expovariate(2)) / BEAT_S) for _ in range(pops)})
    return leaves, events


@cache
def world(rate: float, pops: int, padded: bool, seed: int) -> list[tuple[Seen, str]]:
    """What the observer sees around each event: its beat and the two after it. The day before was alike."""
    leaves, events = happened(rate, pops, random.Random(seed))
    day = Day()
    for beat in range(events[-1][0]):
        day = day.with_beat(leaves[beat])
    least = size_after(day)
    shown = (lambda n: padded_size(n, least)) if padded else (lambda n: n)
    return [((shown(leaves[b]), shown(leaves[b + 1]), shown(leaves[b + 2])), kind) for b, kind in events]


def learnt(rate: float, pops: int, padded: bool, weighed: bool) -> dict[Seen, str]:
    """The best guess for each sight; `weighed`: the three kinds count equally, since requests are so few."""
    table: dict[Seen, Counter[str]] = defaultdict(Counter)
    for seen, kind in world(rate, pops, padded, seed=1):
        table[seen][kind] += 1
    totals = Counter(kind for _, kind in world(rate, pops, padded, seed=1))
    return {seen: max(KINDS, key=lambda k: found[k] / (totals[k] if weighed else 1)) for seen, found in table.items()}


def advantage(rate: float, pops: int, padded: bool, weighed: bool) -> float:
    """How much better the rule is than the prior, in another world of the same kind."""
    rule, right, of = learnt(rate, pops, padded, weighed), Counter[str](), Counter[str]()
    for seen, kind in world(rate, pops, padded, seed=2):
        of[kind] += 1
        right[kind] += rule.get(seen, "grant") == kind
    if weighed:
        return sum(right[kind] / of[kind] for kind in KINDS) / len(KINDS) - 1 / len(KINDS)
    return right.total() / of.total() - of["grant"] / of.total()


def cases(pops: tuple[int, ...], rates: tuple[float, ...]) -> list[tuple[int, float, bool]]:
    return [(p, rate, weighed) for p in pops for rate in rates for weighed in (False, True)]


@pytest.mark.slow
@pytest.mark.parametrize(("pops", "rate", "weighed"), cases((2, 10, 300), RATES))
def test_padded_beats_tell_no_kind_from_another(pops, rate, weighed):
    """2, 10 and 300 POPs, one change a minute to ten a second, by plain rate and with the kinds weighed equally."""
    assert advantage(rate, pops, True, weighed) <= SLACK


def test_unpadded_beats_would_tell():
    """The simulation can see something: without padding the observer is far better than the prior."""
    assert advantage(1 / 60, 2, False, weighed=True) > 0.2


def test_a_days_size_is_above_nearly_all_of_its_beats():
    """Six deviations above the mean, a power of two times eight; the least where nothing happened before."""
    assert size_after(Day()) == LEAST
    assert size_after(Day(2_880, 0, 0)) == 8
    assert size_after(Day(100, 100, 100)) == 8
    assert size_after(Day(100, 1_000, 10_100)) == 16
    assert (padded_size(0, 8), padded_size(9, 8), padded_size(16, 8), padded_size(17, 16)) == (8, 16, 16, 32)


def test_the_order_of_people_is_not_the_order_in_which_they_came():
    """Shuffled with the padding: the first leaf put is as likely at any place."""
    rng = random.Random(7)
    places = Counter()
    for _ in range(4_000):
        waiting = [Item(n, 6, bytes([n]) * 32, b"leaf") for n in range(3)]
        places[[item.row for item in arranged(waiting, LEAST, rng)].index(0)] += 1

    assert set(places) == set(range(LEAST))
    assert max(places.values()) < 1.25 * 4_000 / LEAST


def test_facts_stand_in_the_order_in_which_they_came():
    """A key that is endorsed and used within one beat was endorsed first, for every reader of the ledger."""
    kinds = ("endorsement", "attesters", "attestation")
    waiting = [Item(row, RANKS[kind], kind.encode(), b"leaf") for row, kind in enumerate(kinds)]

    assert [item.row for item in arranged(waiting, LEAST, random.Random(1))[:3]] == [0, 1, 2]
