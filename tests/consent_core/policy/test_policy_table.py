"""The table answers as the Rego does, only faster, and never more than a person chose."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Untrusted
from consent_core.formats.token import CATEGORIES
from consent_core.policy.evaluation import decision_input
from consent_core.policy.table import ALL, PolicyTable, choices_of, places

JURISDICTIONS = ("EU", "UK", "US-CA", "SG", "TH", "JP", "ZZ")
RANK = {"under-13": 0, "13-15": 1, "adult": 2}

anywhere = st.sampled_from(JURISDICTIONS) | st.text(max_size=8)
ages = st.sampled_from(sorted(RANK)) | st.text(max_size=8)
some_choices = st.lists(st.sampled_from(CATEGORIES) | st.text(max_size=12), max_size=6)


@given(place=anywhere, gpc=st.booleans(), age_band=ages, choices=some_choices)
def test_never_more_than_chosen(table, place, gpc, age_band, choices):
    """Whatever the place, signal and age: effective categories are a subset of the choices."""
    assert set(table.at_issue(place, gpc, age_band, choices).categories) <= set(choices)
    assert set(table.lookup(place, gpc, tuple(choices)).categories) <= set(choices)


@given(place=anywhere, age_band=ages, choices=some_choices)
def test_the_signal_never_widens(table, place, age_band, choices):
    """With Global Privacy Control nothing is effective that would not be without."""
    with_signal = set(table.at_issue(place, True, age_band, choices).categories)

    assert with_signal <= set(table.at_issue(place, False, age_band, choices).categories)
    assert set(table.after_notice(place, True, age_band).categories) <= set(
        table.after_notice(place, False, age_band).categories
    )


@given(place=anywhere, gpc=st.booleans(), age_band=ages, choices=some_choices)
def test_the_unknown_place_is_the_strictest(table, place, gpc, age_band, choices):
    """`ZZ` allows nothing that some known law would not."""
    assert set(table.at_issue("ZZ", gpc, age_band, choices).categories) <= set(
        table.at_issue(place, gpc, age_band, choices).categories
    )
    assert set(table.after_notice("ZZ", gpc, age_band).categories) <= set(
        table.after_notice(place, gpc, age_band).categories
    )


@given(place=anywhere, gpc=st.booleans(), choices=some_choices)
def test_a_choice_is_independent_of_the_others(table, place, gpc, choices):
    """A token that lost a category keeps exactly the others: narrowing twice is narrowing once."""
    once = table.lookup(place, gpc, tuple(choices)).categories
    alone = {c for choice in choices for c in table.lookup(place, gpc, (choice,)).categories}

    assert set(once) == alone
    assert table.lookup(place, gpc, once).categories == once


def test_the_table_equals_the_rego_in_every_row(table, published):
    """Each of the 336 answers, asked again of the rules in the signed bundle."""
    rego = published.bundle.rego()
    for place in places(JURISDICTIONS):
        for mask in range(ALL):
            answer = rego.evaluate("consent_edge.consent.decision", decision_input(place, choices_of(mask)))
            row = table.at_issue(*place, choices_of(mask))
            notice = table.after_notice(*place)

            assert list(row.categories) == answer["categories"]
            assert dict(row.reasons) == answer["reasons"]
            assert row.gpc_honoured == answer["gpc_honoured"]
            assert row.jurisdiction == answer["jurisdiction"] == place[0]
            assert list(notice.categories) == answer["after_notice"]
            assert dict(notice.reasons) == answer["after_notice_reasons"]


# The law again, by another hand: lowest age for a choice, for notice ("-" never), and whether the signal stops it.
LAW = {
    "EU": ("adult - no", "adult - no", "adult - no"),
    "UK": ("13-15 - no", "adult - no", "adult - no"),
    "US-CA": ("under-13 under-13 no", "13-15 adult yes", "13-15 adult no"),
    "SG": ("13-15 adult no", "adult - no", "13-15 adult no"),
    "TH": ("13-15 - no", "adult - no", "adult - no"),
    "JP": ("13-15 13-15 no", "adult - no", "adult adult no"),
    "ZZ": ("adult - no", "adult - yes", "adult - yes"),
}


@pytest.mark.parametrize("jurisdiction", JURISDICTIONS)
def test_the_table_says_what_the_law_says(table, jurisdiction):
    """Every cell against a second, independent reading of the law."""
    for _, gpc, age_band in places([jurisdiction]):
        chosen, noticed = set(), set()
        for category, terms in zip(CATEGORIES, LAW[jurisdiction], strict=True):
            choice_from, notice_from, gpc_stops = terms.split()
            stopped = gpc and gpc_stops == "yes"
            if not stopped and RANK[age_band] >= RANK[choice_from]:
                chosen.add(category)
            if not stopped and notice_from != "-" and RANK[age_band] >= RANK[notice_from]:
                noticed.add(category)

        assert set(table.at_issue(jurisdiction, gpc, age_band, CATEGORIES).categories) == chosen
        assert set(table.after_notice(jurisdiction, gpc, age_band).categories) == noticed


def test_gpc_in_california_is_honoured_and_said(table):
    """Behavioral is off, by a rule with its source, and the answer says that the signal counted."""
    answer = table.lookup("US-CA", True, ("contextual", "behavioral"))
    rule = table.rules[answer.reasons["behavioral"]]

    assert answer.categories == ("contextual",)
    assert answer.gpc_honoured
    assert rule.id == "us-ca-behavioral-gpc"
    assert "7025" in rule.source
    assert rule.clause == "gpc"
    assert not table.lookup("EU", True, ("contextual",)).gpc_honoured
    assert not table.lookup("US-CA", False, ("contextual",)).gpc_honoured


def test_every_spelling_of_the_choices_is_the_same_answer(table):
    """Order and container do not matter; what is no category is not a choice."""
    expected = table.lookup("JP", False, ("contextual", "behavioral", "experimental"))

    for order in permutations(CATEGORIES):
        assert table.lookup("JP", False, order) is expected
    assert table.lookup("JP", False, frozenset(CATEGORIES)) is expected
    assert table.lookup("JP", False, (*CATEGORIES, "telepathy", "contextual")) == expected


def test_what_is_unknown_is_read_the_strictest_way(table):
    """Place, signal and age."""
    assert table.lookup("Atlantis", False, ("behavioral",)).jurisdiction == "ZZ"
    assert table.lookup("US-CA", None, ("behavioral",)).categories == ()
    assert table.at_issue("UK", False, "unknown", CATEGORIES).categories == ()
    assert table.lookup("eu", True, ("behavioral",)) == table.lookup("ZZ", True, ("behavioral",))


def test_a_table_survives_the_bundle(table):
    """Written as JSON and read again it answers the same."""
    again = PolicyTable.from_value(table.to_value())

    assert again.to_value() == table.to_value()
    assert all(
        again.at_issue(*place, choices_of(mask)) == table.at_issue(*place, choices_of(mask))
        for place in places(JURISDICTIONS)
        for mask in range(ALL)
    )
    assert again.jurisdictions == tuple(sorted(JURISDICTIONS))


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    )
)
def test_any_other_json_is_no_table(value):
    """Only our own error leaves the reader."""
    with pytest.raises(Untrusted, match="damaged") as refusal:
        PolicyTable.from_value(value)

    assert refusal.value.code == "bundle-table"
