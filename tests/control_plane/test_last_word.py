"""The last word wins, whatever arrives when: the real control plane against a model of its two operations.

One browser numbers its clicks; the network delivers them in any order, again, through two POPs, or not at all; an
operator speaks in between. The model below is written from `docs/formats/consent-record.md`, not from the program.
"""

import secrets
from dataclasses import dataclass, field, replace
from itertools import permutations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES
from control_plane.app import create_app
from tests.control_plane.conftest import Browser, claims, poll

BELIEVED = 256
POPS = ("tokyo-1", "osaka-1")
C, B, E = CATEGORIES


@dataclass(frozen=True)
class Click:
    """One word of the person. `number`: None for a form or an API client; `key`: the same for each copy."""

    kind: str
    named: tuple[str, ...]
    number: int | None
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))


@dataclass
class Model:
    """A record: per category whether it is on, the number that decided it, the version that granted it."""

    ver: int = 0
    on: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, False))
    at: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0))
    since: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0))
    seen: set[tuple[str, str]] = field(default_factory=set)
    entries: list[tuple[int, int, frozenset[str]]] = field(default_factory=list)

    def said(self, number: int | None) -> int:
        honest = number is not None and 1 <= number < 2**40 and (not self.ver or number <= self.ver + BELIEVED)
        return number if honest else self.ver + 1

    def hear(self, click: Click) -> None:
        if (click.kind, click.key) in self.seen:
            return
        self.seen.add((click.kind, click.key))
        number = self.said(click.number)
        new = max(self.ver + 1, number)
        counted = (self.yes if click.kind == "yes" else self.no)(click.named, number, new)
        self.ver = new if counted else self.ver

    def yes(self, named: tuple[str, ...], number: int, new: int) -> bool:
        later = [c for c in named if number > self.at[c]]
        for c in later:
            self.on[c], self.at[c], self.since[c] = True, number, new
        return bool(later)

    def no(self, named: tuple[str, ...], number: int, new: int) -> bool:
        later = [c for c in named if number >= self.at[c]]
        bounds = {c: new if c in later else self.since[c] for c in named if c in later or self.on[c]}
        for bound in sorted(set(bounds.values())):
            self.entries.append((bound, number, frozenset(c for c in bounds if bounds[c] == bound)))
        for c in later:
            self.on[c], self.at[c] = False, number
        return bool(later)


class World:
    """One visitor at the real control plane, beside the model of their record."""

    def __init__(self, plane):
        self.plane, self.model, self.tokens = plane, Model(), []
        self.browser = Browser(plane)
        self.first = Click("yes", (C,), 1)
        self.sub = self.deliver(self.first, POPS[0]).sub
        self.seqs = {entry.seq for entry in poll(plane).entries if entry.subject != subject_of(self.sub)}

    def deliver(self, click, pop):
        """The click, or a copy of it, arrives through a POP; record, numbers and entries are the model's."""
        self.model.hear(click)
        if click.kind == "yes":
            request = self.browser.request(*click.named, number=click.number, key=click.key, pop=pop)
            if self.browser.secret is None:
                answer = self.browser.grant(*click.named, number=click.number, key=click.key, pop=pop)
            else:
                answer = self.plane.consents.grant(request)
            self.tokens.extend([claims(self.plane, answer)] if answer.token else [])
        else:
            row = replace(self.browser.row(*click.named, key=click.key, number=click.number), pop=pop)
            answer = self.plane.consents.withdraw(None, row)
        self.check(answer)
        return answer

    def revoke(self, named):
        entry = self.plane.revoking.revoke(RevocationRequest("session", subject_of(self.browser.sub), named))
        if entry.ver != self.model.ver:
            self.model.hear(Click("no", named, None))
        assert (entry.ver, frozenset(named) <= frozenset(entry.categories)) == (self.model.ver, True)

    def check(self, answer):
        model = self.model
        assert answer.ver == model.ver
        assert set(answer.choices) == {c for c in CATEGORIES if model.on[c]}
        assert dict(answer.numbers) == {c: model.at[c] for c in CATEGORIES if model.at[c]}

    def judge(self, heard):
        """After everything: the log is the model's, each category is as its last word says, as are tokens."""
        subject = subject_of(self.browser.sub)
        mine = [entry for entry in poll(self.plane).entries if entry.subject == subject]
        assert [(e.ver, e.said, frozenset(e.categories)) for e in mine] == self.model.entries
        for category in CATEGORIES:
            words = [click for click in heard if category in click.named]
            last = max(words, key=lambda click: click.number, default=None)
            assert self.model.on[category] is (last is not None and last.kind == "yes")
            for token in self.tokens:
                denied = any(category in e.categories and token.ver < e.ver for e in mine)
                assert not (category in token.scopes and not denied and last.kind == "no")


@pytest.fixture(scope="module")
def plane(template, tmp_path_factory):
    """One control plane for all: visitors are each example's own."""
    import shutil

    from consent_core.clock import ManualClock
    from control_plane.settings import Settings

    data = tmp_path_factory.mktemp("words") / "data"
    shutil.copytree(template, data)
    plane = create_app(Settings(data=data, clock=ManualClock()))
    yield plane
    plane.close()


named = st.sets(st.sampled_from(CATEGORIES), min_size=1).map(lambda chosen: tuple(c for c in CATEGORIES if c in chosen))
clicks = st.lists(st.tuples(st.sampled_from(["yes", "no"]), named), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example([("no", (C,)), ("yes", (C,))], [1, 0, 1, 0])
@given(clicks, st.lists(st.integers(0, 4), max_size=10))
def test_the_last_word_wins_in_any_order_and_however_often_it_arrives(plane, said, order):
    """Clicks numbered by one browser, delivered in any order and again, through either POP; then all that are left."""
    world = World(plane)
    script = [Click(kind, categories, number) for number, (kind, categories) in enumerate(said, 2)]
    for turn, place in enumerate([*(n for n in order if n < len(script)), *range(len(script))]):
        world.deliver(script[place], POPS[turn % 2])
    world.judge([world.first, *script])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["yes", "no", "operator"]), named, st.integers(-1, 9)), max_size=8))
def test_numbers_that_are_absent_absurd_or_old_follow_the_model(plane, said):
    """Forms, stolen counters, numbers far above the record, operators in between: record and log are the model's."""
    strange = (None, 0, 1, 2, 3, 5, 300, 2**40 - 1, 2**40, 2**53 - 1)
    world = World(plane)
    for turn, (kind, categories, which) in enumerate(said):
        if kind == "operator":
            world.revoke(categories)
        else:
            world.deliver(Click(kind, categories, strange[which]), POPS[turn % 2])
    subject = subject_of(world.browser.sub)
    mine = [entry for entry in poll(world.plane).entries if entry.subject == subject]

    assert [(e.ver, e.said, frozenset(e.categories)) for e in mine] == world.model.entries


# What was seen, each in every order of arrival.


def every_order(plane, *script):
    """The record's choices after each order in which these clicks may arrive, the first click aside."""
    outcomes = set()
    for order in permutations(script):
        world = World(plane)
        for turn, click in enumerate(replace(click, key=secrets.token_urlsafe(16)) for click in order):
            answer = world.deliver(click, POPS[turn % 2])
        outcomes.add(answer.choices)
    return outcomes


def test_a_quick_yes_does_not_undo_a_no(plane):
    """Two granted, behavioral withdrawn and, before it answers, experimental granted: never all three."""
    granted, no, yes = Click("yes", (C, B), 2), Click("no", (B,), 3), Click("yes", (E,), 4)

    assert every_order(plane, granted, no, yes) == {(C, E)}


def test_an_acknowledged_yes_survives_the_no_before_it(plane):
    """A queued no arrives late, at one POP or across two: what was granted after it stays."""
    assert every_order(plane, Click("no", (C,), 2), Click("yes", (C,), 3)) == {(C,)}


def test_a_no_is_final_however_late_the_yes_before_it_arrives(plane):
    """First visit on a slow link: the yes was clicked first and comes last."""
    assert every_order(plane, Click("yes", (B,), 2), Click("no", CATEGORIES, 3)) == {()}


def test_three_yeses_at_once_all_count(plane):
    """None replaces another: a change says what it adds and nothing else."""
    assert every_order(plane, *(Click("yes", (c,), n) for n, c in enumerate(CATEGORIES, 2))) == {CATEGORIES}


def test_a_late_no_ends_only_what_is_older_than_the_later_yes(plane):
    """Its bound is the version that granted again: the token of the first yes goes, that of the second stays."""
    world = World(plane)
    (old,) = world.tokens
    new = claims(plane, world.deliver(Click("yes", (C,), 3), POPS[0]))
    world.deliver(Click("no", (C,), 2), POPS[1])
    (entry,) = [e for e in poll(plane).entries if e.subject == subject_of(world.browser.sub)]

    assert (entry.ver, entry.said, entry.categories) == (new.ver, 2, (C,))
    assert old.ver < entry.ver <= new.ver


def test_a_number_above_what_is_believed_locks_nobody_out(plane):
    """A planted counter far ahead counts as said on arrival: the next honest click is above it."""
    world = World(plane)
    world.deliver(Click("no", (C,), 2**40 - 1), POPS[0])

    assert world.deliver(Click("yes", (C,), 3), POPS[1]).choices == (C,)
    assert world.deliver(Click("no", (C,), 4), POPS[1]).choices == ()


@pytest.mark.parametrize("number", [0, 7])
def test_no_token_is_given_against_what_this_browser_refused(plane, number):
    """`consent-no` travels with the request: only a yes recorded above its number lifts it; a form's no never lifts."""
    browser = Browser(plane)
    browser.grant(C, B, number=5)
    narrowed = browser.refresh(refused={B: number})
    granted = browser.grant(E, number=6, refused={B: number})
    lifted = browser.grant(B, number=8, refused={B: number})

    assert (narrowed.choices, narrowed.categories) == ((C, B), (C,))
    assert claims(plane, narrowed).scopes == (C,)
    assert granted.categories == (C, E)
    assert lifted.categories == ((C, E) if number == 0 else CATEGORIES)


def test_a_notice_never_overrides_what_this_browser_refused(plane):
    """Also where there is no session: a later yes does, a notice does not."""
    browser = Browser(plane, "US-CA")
    told = browser.notice(refused={B: 3})

    assert (told.choices, told.categories) == ((C, E), (C, E))
    assert browser.refresh().categories == (C, E)
    assert browser.grant(B).categories == CATEGORIES
