"""The batch of withdrawals: rows and answers read as written, and a bad row is only its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.token import CATEGORIES
from consent_core.formats.withdrawals import (
    MAX_ROWS,
    RowError,
    WithdrawalAnswer,
    WithdrawalRow,
    read_answers,
    read_rows,
    write_answers,
    write_rows,
)

ROW = WithdrawalRow("k" * 22, "w" * 43, None, "a" * 64, 8, ("behavioral",), "tokyo-1", 1_800_000_000)
GOOD = write_rows([ROW])

keys = st.from_regex(r"[A-Za-z0-9_-]{16,64}", fullmatch=True)
hashes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
subsets = st.sets(st.sampled_from(CATEGORIES), min_size=1).map(lambda s: tuple(c for c in CATEGORIES if c in s))
rows = st.builds(
    WithdrawalRow,
    key=keys,
    withdraw=st.none() | st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True),
    session_legacy=st.none() | hashes,
    subject=st.none() | hashes,
    number=st.none() | st.integers(0, 2**40),
    categories=st.none() | subsets,
    pop=st.just("tokyo-1"),
    at=st.integers(0, 2**40),
)
answers = st.builds(
    WithdrawalAnswer, keys, st.integers(0, 2**40), st.dictionaries(st.sampled_from(CATEGORIES), st.integers(0, 2**40)),
    st.none() | hashes,
) | st.builds(lambda key: WithdrawalAnswer(key, code="session-unknown", message="nobody's"), keys)  # fmt: skip


@given(st.lists(rows, min_size=1, max_size=8))
def test_rows_are_read_as_written(written):
    assert read_rows(write_rows(written)) == tuple(written)


@given(st.lists(answers, min_size=1, max_size=8))
def test_answers_are_read_as_written(written):
    assert read_answers(write_answers(written), [answer.key for answer in written]) == tuple(written)


@given(st.integers(0, len(GOOD) - 2), st.integers(0, 255))
def test_a_changed_byte_spoils_its_own_row_alone(at, byte):
    """Whatever it becomes: the rows around it are what they were. (A new line makes two bad rows of one.)"""
    spoilt = bytearray(GOOD)
    spoilt[at] = byte
    first, *_, last = read_rows(GOOD + bytes(spoilt) + GOOD)

    assert first == last == ROW


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"null", b"{", GOOD.replace(b"tokyo-1", b"Tokyo"), GOOD.replace(b'["behavioral"]', b"[]"),
     GOOD.replace(b'"number":8', b'"number":-1'), GOOD.replace(b'"number":8', b'"number":8.5'),
     GOOD.replace(b'"at"', b'"At"'), GOOD.replace(b"w" * 43, b"w" * 42), b" " * 2_000 + GOOD],
)  # fmt: skip
def test_a_bad_row_blocks_no_other(line):
    """It gets an error of its own."""
    first, bad, last = read_rows(GOOD + line.rstrip(b"\n") + b"\n" + GOOD)

    assert (first, last) == (ROW, ROW)
    assert isinstance(bad, RowError)
    assert bad.code == "bad-request"


@pytest.mark.parametrize("body", [b"", GOOD * (MAX_ROWS + 1)])
def test_no_rows_and_too_many_are_refused(body):
    with pytest.raises(Rejected):
        read_rows(body)


def test_as_many_as_may_be_are_read():
    assert len(read_rows(GOOD * MAX_ROWS)) == MAX_ROWS


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", write_answers([WithdrawalAnswer("o" * 22)]), write_answers([WithdrawalAnswer("k" * 22)] * 2),
     b'{"key":"kkkkkkkkkkkkkkkkkkkkkk","ver":-1,"numbers":{},"subject":null}',
     b'{"key":"kkkkkkkkkkkkkkkkkkkkkk","ver":1,"numbers":{"contextual":true},"subject":null}',
     b'{"key":"kkkkkkkkkkkkkkkkkkkkkk","error":{"code":"Not A Code","message":""}}'],
)  # fmt: skip
def test_answers_to_other_questions_are_not_believed(body):
    """Too few, too many, another key, another form."""
    with pytest.raises(Untrusted):
        read_answers(body, ["k" * 22])
