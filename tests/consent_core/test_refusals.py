"""The cookie `consent-no`: reading what was written, and narrowing wherever something cannot be read."""

import string
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.formats.refusals import (
    EVERYTHING,
    LETTERS,
    MAX_BYTES,
    MAX_NUMBER,
    NONE,
    Refusal,
    read_refusals,
    refusals_in,
    write_refusals,
)
from consent_core.formats.token import encode_base64url

TAG = encode_base64url(bytes(16))
KEY = encode_base64url(b"k" * 16)
OTHER = encode_base64url(b"o" * 16)
ENTRY = f"7:b:{KEY}:1800000000"
GOOD = f"1.{TAG}.{ENTRY}".encode()

ids = st.binary(min_size=16, max_size=16).map(encode_base64url)
splits = st.lists(st.sampled_from(list(LETTERS.values())), unique=True, min_size=1).flatmap(
    lambda names: st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)).map(
        lambda places: [
            tuple(c for c in LETTERS.values() if (c, place) in set(zip(names, places, strict=True)))
            for place in sorted(set(places))
        ]
    )
)


@st.composite
def refusals(draw):
    """What a module may write: each category in one entry."""
    groups = draw(splits)
    keys = draw(st.lists(ids, unique=True, min_size=len(groups), max_size=len(groups)))
    numbers = st.integers(0, MAX_NUMBER)
    return [
        Refusal(draw(numbers), group, key, draw(st.integers(0, 99_999_999_999)))
        for group, key in zip(groups, keys, strict=True)
    ]


@given(tag=ids, entries=refusals())
def test_what_is_written_is_read(tag, entries):
    """The round trip, and the categories are those of the entries."""
    read = read_refusals([write_refusals(tag, entries).encode()])

    assert (read.tag, read.entries, read.broken) == (tag, tuple(entries), False)
    assert read.categories == {category for entry in entries for category in entry.categories}
    assert read.numbers() == {category: entry.number for entry in entries for category in entry.categories}


@given(tag=ids, entries=refusals(), data=st.data())
def test_a_changed_byte_never_widens(tag, entries, data):
    """Whatever a byte becomes, the value says another well-formed thing, refuses everything, or is no longer ours."""
    value = bytearray(write_refusals(tag, entries).encode())
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] = data.draw(st.integers(0, 255))
    read = read_refusals([bytes(value)])
    if not value.startswith(b"1."):
        assert read == NONE
    elif not read.broken:
        assert write_refusals(read.tag, read.entries).encode() == bytes(value)
    else:
        assert read.categories == EVERYTHING


@given(values=st.lists(st.binary(max_size=80), max_size=6))
def test_no_bytes_make_it_raise(values):
    """Anybody may send anything."""
    read = read_refusals(values)
    assert read.categories <= EVERYTHING
    assert refusals_in(b"; ".join(b"consent-no=" + value for value in values)).categories <= EVERYTHING


@pytest.mark.parametrize(
    "value",
    [
        "1.",
        f"1.{TAG}",
        f"1.{TAG}.",
        f"1.{TAG}.{ENTRY}~",
        f"1.{TAG}.{ENTRY}~~9:c:{OTHER}:1",
        f"1.{TAG[:-1]}.{ENTRY}",
        f"1.{TAG[:-1]}B.{ENTRY}",  # a second spelling of the same bytes
        f"1.{TAG}.07:b:{KEY}:1",
        f"1.{TAG}.-1:b:{KEY}:1",
        f"1.{TAG}.{2**40}:b:{KEY}:1",
        f"1.{TAG}.7::{KEY}:1",
        f"1.{TAG}.7:bc:{KEY}:1",
        f"1.{TAG}.7:bb:{KEY}:1",
        f"1.{TAG}.7:x:{KEY}:1",
        f"1.{TAG}.7:b:{KEY[:-1]}:1",
        f"1.{TAG}.7:b:{KEY}:01",
        f"1.{TAG}.7:b:{KEY}:",
        f"1.{TAG}.7:b:{KEY}:1:2",
        f"1.{TAG}.7:b:{KEY}:1~8:b:{OTHER}:2",  # a category in two entries
        f"1.{TAG}.7:b:{KEY}:1~8:c:{KEY}:2",  # a key twice
        f"1.{TAG}.{ENTRY} ",
        f"1.{TAG}.{ENTRY}\n",
        f"1.{TAG}." + "~".join([ENTRY] * 40),
        "1.é",
    ],
)
def test_a_damaged_refusal_refuses_everything(value):
    """Somebody said no, and nobody can tell to what."""
    read = read_refusals([value.encode("latin-1")])

    assert (read.broken, read.categories, read.entries) == (True, EVERYTHING, ())


@pytest.mark.parametrize("value", ["", "2.x", "true", "01.x", f"x1.{TAG}.{ENTRY}", f"{'9' * 2_000}"])
def test_another_programs_cookie_says_nothing(value):
    """It does not begin as ours does."""
    assert read_refusals([value.encode()]) == NONE


def test_a_value_of_just_the_longest_length_is_read():
    """And one byte more is not."""
    assert len(GOOD) < MAX_BYTES
    assert read_refusals([GOOD + b"1" * (MAX_BYTES - len(GOOD) + 1)]).broken


def test_values_are_united_and_only_narrow():
    """A sibling host's value adds to the browser's own and takes nothing from it."""
    planted = write_refusals(OTHER, [Refusal(3, ("contextual",), OTHER, 1)]).encode()
    both = read_refusals([GOOD, planted])

    assert both.categories == {"behavioral", "contextual"}
    assert both.tag is None
    assert read_refusals([GOOD, b"rubbish"]).categories == {"behavioral"}
    assert read_refusals([GOOD, b"1.rubbish"]).categories == EVERYTHING
    assert read_refusals([GOOD, GOOD]) == read_refusals([GOOD])


def test_a_fifth_value_refuses_everything():
    """Nobody hides a refusal behind many."""
    values = [write_refusals(encode_base64url(bytes([n]) * 16), [Refusal(1, ("contextual",), KEY, n)]).encode()
              for n in range(5)]  # fmt: skip

    assert not read_refusals(values[:4]).broken
    assert read_refusals(values).broken


@pytest.mark.parametrize(
    ("header", "categories"),
    [
        (None, ()),
        (b"", ()),
        (b"a=b; consent-token=x", ()),
        (b"consent-no=" + GOOD, ("behavioral",)),
        (b"__Host-consent-no=" + GOOD, ("behavioral",)),
        (b"a=b;consent-no=" + GOOD + b"; c=d", ("behavioral",)),
        (b"my-consent-no=" + GOOD, ()),
        (b"x=consent-no=" + GOOD, ()),
        (b"consent-no=; consent-no=" + GOOD, ("behavioral",)),
        (b"Consent-No=" + GOOD, ()),
        (b"consent-no=" + GOOD + b"x" * 70_000, tuple(EVERYTHING)),
    ],
)
def test_it_is_found_among_the_cookies(header, categories):
    """By its exact names, wherever it stands."""
    assert refusals_in(header).categories == set(categories)


def test_every_set_of_categories_has_one_spelling():
    """Letters in their order, each once."""
    for size in range(1, len(LETTERS) + 1):
        for names in combinations(LETTERS.values(), size):
            value = write_refusals(TAG, [Refusal(1, names, KEY, 1)])
            assert read_refusals([value.encode()]).categories == set(names)
            assert set(value.split(":")[1]) <= set(string.ascii_lowercase)


@pytest.mark.parametrize(
    "entry",
    [Refusal(2**40, ("contextual",), KEY, 1), Refusal(1, (), KEY, 1), Refusal(1, ("contextual",), "short", 1)],
)
def test_what_has_no_spelling_is_not_written(entry):
    """A writer learns it at once."""
    with pytest.raises(ValueError, match="form"):
        write_refusals(TAG, [entry])
