"""The oracle itself: each way of breaking the promise is seen, and nothing that keeps it."""

from types import SimpleNamespace
from typing import Any

import pytest

from consent_core.formats.revocation import Entry
from consent_core.formats.token import CATEGORIES, Claims
from simulator.virtual.oracle import Oracle, Said, Shown, Taken, Truth

BOUND = 60.0
SUBJECT = "ab" * 32


class Table:
    """A policy that allows these categories everywhere."""

    def __init__(self, *categories: str) -> None:
        self.categories = categories

    def lookup(self, jurisdiction: str, gpc: bool, choices: Any) -> SimpleNamespace:
        return SimpleNamespace(categories=self.categories)


class World:
    """A truth in the making and the oracle over it. `reachable`: since when each POP can pass things on."""

    def __init__(self) -> None:
        self.truth = Truth()
        self.reachable: dict[int, float | None] = {}
        self.oracle = Oracle(self.truth, BOUND, lambda pop: self.reachable.get(pop, 0.0))
        self.policy(0.0, *CATEGORIES)

    def policy(self, at: float, *categories: str) -> None:
        table: Any = Table(*categories)
        self.truth.hear(Entry(self.truth.head + 1, "", "", "policy", "sha256:x", (), 0, 0, 0, "reload"), at, table)

    def revoke(self, at: float, below: int, *categories: str) -> None:
        self.truth.hear(
            Entry(self.truth.head + 1, "", "", "session", SUBJECT, categories, below, 0, 0, "deny"), at, None
        )

    def shown(self, at: float, *categories: str, pop: int = 1, ver: int = 1) -> list[str]:
        claims = Claims("i", "edge", "s", 0, 300, "j", ver, ("contextual", "behavioral"), "r", "h")
        self.oracle.judge(Shown(pop, "EU", False, at, SUBJECT, claims, categories))
        return [violation.rule for violation in self.oracle.violations]


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_allowed_is_no_violation(world: World) -> None:
    """A token shown for what it names."""
    assert world.shown(100.0, "contextual", "behavioral") == []


def test_a_revoked_category_is_seen_after_the_bound_and_not_before(world: World) -> None:
    """60 s are allowed, 60 s and a little are not."""
    world.revoke(10.0, 2, "behavioral")

    assert world.shown(70.0, "behavioral") == []
    assert world.shown(70.1, "contextual") == []
    assert world.shown(70.1, "behavioral") == ["revoked"]


def test_a_newer_token_is_not_hit(world: World) -> None:
    """The person said yes again."""
    world.revoke(10.0, 2, "behavioral")

    assert world.shown(200.0, "behavioral", ver=2) == []


def test_a_category_that_policy_switched_off_is_seen_after_the_bound(world: World) -> None:
    """And is fine again once a policy allows it."""
    world.policy(10.0, "contextual")

    assert world.shown(70.0, "behavioral") == []
    assert world.shown(70.1, "behavioral") == ["policy-off"]
    world.policy(80.0, *CATEGORIES)
    assert world.shown(80.0, "behavioral") == ["policy-off"]


def test_a_withdrawal_is_in_force_at_its_own_pop_at_once(world: World) -> None:
    """From the next request on."""
    world.truth.say(SUBJECT, Said(1, Taken(2, CATEGORIES, 10.0)))

    assert world.shown(10.0, "contextual", pop=2) == []
    assert world.shown(10.0, "contextual", pop=1) == ["withdrawn-here"]


def test_a_withdrawal_elsewhere_has_to_arrive_within_the_bound(world: World) -> None:
    """Also if the log never heard of it: the POP could have passed it on."""
    world.truth.say(SUBJECT, Said(2, Taken(2, CATEGORIES, 10.0)))

    assert world.shown(70.1, "contextual", pop=1) == ["withdrawn"]


def test_a_replay_that_nobody_could_know_of_is_counted_apart(world: World) -> None:
    """The POP where the visitor said no is cut off."""
    world.truth.say(SUBJECT, Said(2, Taken(2, CATEGORIES, 10.0)))
    world.reachable[2] = None

    assert world.shown(75.0, "contextual", pop=1) == []
    assert world.oracle.unheard.total() == 1
    world.reachable[2] = 80.0
    assert world.shown(139.0, "contextual", pop=1) == []
    assert world.shown(141.0, "contextual", pop=1) == ["withdrawn"]


def test_more_than_the_token_names_is_seen_at_once(world: World) -> None:
    """A POP only ever narrows."""
    assert world.shown(1.0, "experimental") == ["widened"]
