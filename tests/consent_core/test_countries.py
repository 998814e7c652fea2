"""Which law applies to what a front end says."""

import tomllib

import pytest

from consent_core.decision.countries import COUNTRIES, JURISDICTIONS
from consent_core.decision.grant import jurisdiction_of
from consent_core.decision.request import read_headers
from consent_core.resources import resource


def law(*pairs, header=b"x-country"):
    scope = {"headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs]}
    return jurisdiction_of(read_headers(scope, header), header, "JP")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("DE", "EU"), ("de", "EU"), (" De ", "EU"), ("NO", "EU"), ("RE", "EU"), ("EU", "EU"), ("DE-BY", "EU"),
        ("GB", "UK"), ("UK", "UK"), ("GB-SCT", "UK"), ("JP", "JP"), ("SG", "SG"), ("TH", "TH"),
        ("US-CA", "US-CA"), ("us-ca", "US-CA"),
        ("US", "ZZ"), ("US-NY", "ZZ"), ("CA", "ZZ"), ("CH", "ZZ"), ("GI", "ZZ"), ("JE", "ZZ"), ("ZZ", "ZZ"),
        ("", "ZZ"), ("XX", "ZZ"), ("T1", "ZZ"), ("Germany", "ZZ"), ("DEU", "ZZ"),
        ("US, US-CA", "ZZ"), ("DE,US-CA", "ZZ"),
        ("\xff", "ZZ"), ("-", "ZZ"), ("-DE", "ZZ"), ("A" * 100_000, "ZZ"),
    ],
)  # fmt: skip
def test_a_country_has_its_law(said, expected):
    """In any case; what no table has gets the strictest rules."""
    assert law(("x-country", said)) == expected


@pytest.mark.parametrize(
    ("country", "region", "expected"),
    [("US", "CA", "US-CA"), ("us", "ca", "US-CA"), ("US", "NY", "ZZ"), ("US", "", "ZZ"), ("DE", "BY", "EU"),
     ("", "CA", "ZZ"), ("CA", "US", "ZZ"), ("US-CA", "", "US-CA"), ("CN", "DE", "ZZ")],
)  # fmt: skip
def test_a_region_has_a_header_of_its_own(country, region, expected):
    """`US` and `CA` in two headers are California; another state has no rules of its own."""
    assert law(("x-country", country), ("x-region", region), header=b"x-country+x-region") == expected


def test_a_repeated_or_missing_header_is_unknown():
    """Two answers are none."""
    assert law(("x-country", "US-CA"), ("x-country", "DE")) == "ZZ"
    assert law(("x-region", "CA")) == law() == "ZZ"


def test_without_a_header_the_pops_own_law_applies():
    """What a client sends by that name is not read."""
    assert jurisdiction_of({b"x-country": b"US-CA"}, None, "EU") == "EU"


def test_both_tables_are_the_same():
    """The one for people and the one for components."""
    data = tomllib.loads(resource("legal/countries.toml").read_text())

    assert {place: set(countries) for place, countries in data.items()} == {p: set(c) for p, c in COUNTRIES.items()}
    assert len(JURISDICTIONS) == sum(map(len, COUNTRIES.values())) + sum(p not in c for p, c in COUNTRIES.items())
