"""Nothing refills a budget: no restart, name, version, backup or second story."""

from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.budget_ledger import FIRST, BudgetLine, read_lines
from consent_core.privacy.ledger import charge, head, merged, spend, spent
from consent_core.privacy.mechanism import Mechanism
from consent_core.privacy.weeks import index_of, later, windows

FIVE = Mechanism.promising(5, "5", "1e-5", "0.4")
LOUD = Mechanism.promising(5, "8", "1e-5", "0.4")  # less noise, more spend a week
QUIET = Mechanism.promising(5, "2", "1e-5", "0.4")
START = "2027-W02"


def spending(weeks, mechanism=FIVE):
    lines = ()
    for n in range(weeks):
        lines = spend(lines, later(START, n), mechanism)
    return lines


def test_a_week_every_week_stays_within_the_promise():
    """Thirty weeks in a row: five of them never spend more than (5, 1e-5) allows."""
    lines = spending(30)

    assert all(spent(lines, row) <= FIVE.promised for row in windows(later(START, 15), 5))


def test_a_week_is_spent_once():
    """A second round of one week is a second look at the same people."""
    with pytest.raises(Rejected) as refusal:
        spend(spending(3), later(START, 1), FIVE)
    assert refusal.value.code == "budget-exhausted"


@pytest.mark.parametrize("week", [-4, -2, 3, 6, 7])
def test_less_noise_in_one_week_is_refused_in_each_row_it_is_part_of(week):
    """A policy of larger epsilon does not free what the smaller one spent, nor does the reverse order."""
    lines = spend((), START, LOUD)
    lines = spend(lines, later(START, 2), LOUD)
    lines = spend(lines, later(START, 4), LOUD)
    if week in (-2, 3, 6):
        with pytest.raises(Rejected, match="spent"):
            spend(lines, later(START, week), FIVE)
    else:
        assert len(spend(lines, later(START, week), FIVE)) == 4


def test_a_second_story_counts_even_beyond_the_budget():
    """What was seen was seen; the following weeks pay for it."""
    lines = charge(spending(5), START, FIVE)

    assert spent(lines, range(index_of(START), index_of(START) + 5)) > FIVE.promised
    with pytest.raises(Rejected):
        spend(charge(spending(4), later(START, 3), FIVE), later(START, 4), FIVE)


def test_a_ledger_from_a_backup_takes_over_what_it_forgot():
    """The other side's last lines are enough."""
    whole = spending(8)

    assert merged(whole[:5], whole[3:]) == whole
    assert merged(whole, whole[2:4]) == whole
    assert merged((), whole) == whole


def test_two_ledgers_that_contradict_each_other_are_forked():
    """A backup that spent before it asked is seen at its next line."""
    whole = spending(6)
    other = spend(whole[:4], later(START, 40), FIVE)
    with pytest.raises(Untrusted) as refusal:
        merged(whole, other[2:])
    assert refusal.value.code == "budget-forked"
    with pytest.raises(Untrusted):
        merged(other, (BudgetLine(6, whole[4].digest, later(START, 41), FIVE.rho, "round", FIVE.digest),))


class Refilling(RuleBasedStateMachine):
    """A place, its control plane, and a world that restarts, renames and restores both."""

    def __init__(self):
        super().__init__()
        self.place, self.plane, self.backups = (), (), [()]
        self.week, self.mechanism = 0, FIVE
        self.published = []  # (index, rho): what really was seen

    @rule(weeks=st.integers(0, 3))
    def time_passes(self, weeks):
        self.week += weeks

    @rule(mechanism=st.sampled_from([FIVE, LOUD, QUIET]))
    def a_policy_of_another_promise_is_published(self, mechanism):
        self.mechanism = mechanism

    @rule()
    def a_backup_is_made(self):
        self.backups.append(self.place)

    @rule(which=st.integers(0, 9))
    def a_backup_is_restored(self, which):
        self.place = self.backups[which % len(self.backups)]

    @rule()
    def the_place_starts_again(self):
        self.place = read_lines([line.to_json() for line in self.place[-60:]]) if self.place else ()

    @rule()
    def a_week_is_sent(self):
        try:
            self.place = merged(self.place, self.plane[-60:])
            after = spend(self.place, later(START, self.week), self.mechanism)
            self.plane = spend(merged(self.plane, self.place[-60:]), later(START, self.week), self.mechanism)
        except (Rejected, Untrusted):
            return
        self.place = after
        self.published.append((index_of(later(START, self.week)), self.mechanism.rho))

    @invariant()
    def five_weeks_never_exceed_the_largest_promise(self):
        for first, _ in self.published:
            total = sum((rho for at, rho in self.published if at in range(first, first + 5)), Fraction(0))
            assert total <= LOUD.promised


TestRefilling = Refilling.TestCase
TestRefilling.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_ledger_has_no_place_for_a_name():
    """Renamed models, new categories and versions share one budget: a line has no member that could tell them apart."""
    members = BudgetLine(1, FIRST, START, FIVE.rho, "round", FIVE.digest).to_json().keys()

    assert members == {"seq", "prev", "week", "rho", "what", "mechanism"}


def line(**changes):
    return {**BudgetLine(1, FIRST, START, FIVE.rho, "round", FIVE.digest).to_json(), **changes}


@pytest.mark.parametrize(
    "values",
    [
        [],
        [line()] * 65,
        ["line"],
        [line(model="contextual")],
        [{k: v for k, v in line().items() if k != "rho"}],
        [line(seq=0)],
        [line(seq=True)],
        [line(prev="sha256:00")],
        [line(seq=2)],
        [line(prev=FIVE.digest)],
        [line(week="2027-W54")],
        [line(rho="2/4")],
        [line(rho="0/1")],
        [line(rho="-1/2")],
        [line(rho="0.11")],
        [line(rho="1/" + "9" * 40)],
        [line(what="refund")],
        [line(mechanism="sha256:zz")],
        [line(), line(seq=2)],
        [line(), line(seq=3, prev=BudgetLine(1, FIRST, START, FIVE.rho, "round", FIVE.digest).digest)],
    ],
)
def test_lines_of_another_form_are_refused(values):
    """Each by one code."""
    with pytest.raises(Rejected) as refusal:
        read_lines(values)
    assert refusal.value.code == "budget-malformed"


def test_lines_come_back_whole():
    """What was written is read, and the head is the last line's."""
    lines = spending(7)

    assert read_lines([row.to_json() for row in lines]) == lines
    assert head(lines) == (7, lines[-1].digest)
    assert head(()) == (0, FIRST)
