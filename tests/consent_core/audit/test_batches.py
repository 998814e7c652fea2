"""Blocks of records that share texts: what goes in comes out, and nothing else is taken for one."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.audit.batches import MAX_BLOCK_BYTES, MAX_BLOCK_RECORDS, TIME_LIMIT, Batch
from consent_core.errors import Untrusted

AT = 1_800_000_000
TEXTS = [b"", b'"n":1', b'"n":2', b',"person":"x"']


def word(since: int, fields: int, person: int = 0) -> int:
    return since << 44 | fields << 22 | person


words = st.builds(word, st.integers(0, TIME_LIMIT - 1), st.integers(1, 2), st.sampled_from([0, 3]))


@given(st.integers(1, 2**40), st.lists(words, min_size=1, max_size=1_200), st.integers(0, 1_300))
def test_blocks_hold_the_same_records_in_order(first: int, stored: list[int], skip: int) -> None:
    """Cut anywhere, in as many blocks as it takes, through bytes and back."""
    batch = Batch(first, AT, stored, TEXTS)
    expected = list(batch.records())[skip:]
    blocks = list(batch.after(first - 1 + skip).blocks())
    again = [Batch.from_bytes(part.first, len(part), block) for part, block in blocks]

    assert [record for block in again for record in block.records()] == expected
    assert all(len(block) <= MAX_BLOCK_RECORDS for block in again)
    assert [block.first for block in again[1:]] == [block.first + len(block) for block in again[:-1]]


def test_a_record_is_json_with_its_time_first() -> None:
    """Fields, then the person."""
    (record,) = Batch(1, AT, [word(5, 2, 3)], TEXTS).records()

    assert json.loads(record) == {"at": AT + 5, "n": 2, "person": "x"}


def test_a_block_holds_the_texts_it_names_and_no_others() -> None:
    """What another block said of somebody is not sealed again."""
    assert b"person" not in Batch(1, AT, [word(0, 1)], TEXTS).to_bytes()


def test_a_block_stays_below_what_a_frame_takes() -> None:
    """Long texts make short blocks."""
    texts = [b"", *(b'"%d' % number + b"x" * 60_000 for number in range(100))]
    blocks = list(Batch(1, AT, [word(0, number) for number in range(1, 101)], texts).blocks())

    assert sum(len(part) for part, _ in blocks) == 100
    assert all(len(block) <= MAX_BLOCK_BYTES for _, block in blocks)


WORD = struct.pack(">Q", word(0, 1))
BLOCK = Batch(1, AT, [word(0, 1, 3), word(1, 2)], TEXTS).to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BLOCK[:-1],
        BLOCK + b"\0",
        BLOCK[:-8],
        BLOCK + BLOCK[-8:],
        BLOCK[:11],
        BLOCK[:8] + struct.pack(">I", 2**32 - 1) + BLOCK[12:],
        BLOCK[:8] + struct.pack(">I", 2) + BLOCK[12:],
        BLOCK[:12] + struct.pack(">II", 0, 5) + BLOCK[20:],
        BLOCK[:12] + struct.pack(">II", 2, 5) + BLOCK[20:],
        BLOCK[:12] + struct.pack(">II", 1, 2**32 - 1) + BLOCK[20:],
        BLOCK[:8] + struct.pack(">III", 2, 0, 5) + TEXTS[2] + struct.pack(">II", 1, 5) + TEXTS[1] + 2 * WORD,
        BLOCK[:8] + struct.pack(">III", 2, 1, 5) + TEXTS[2] + struct.pack(">II", 1, 5) + TEXTS[1] + 2 * WORD,
        BLOCK[:-8] + struct.pack(">Q", word(0, 0)),
        BLOCK[:-8] + struct.pack(">Q", word(0, 0, 3)),
        BLOCK[:-8] + struct.pack(">Q", word(0, 4)),
        BLOCK[:-8] + struct.pack(">Q", word(0, 1, 4)),
        BLOCK[:-8] + bytes(8),
        BLOCK[:-8] + struct.pack(">Q", word(0, 3)),
        BLOCK[:-8] + struct.pack(">Q", word(0, 1, 2)),
    ],
)
def test_what_is_not_a_block_is_refused(data: bytes) -> None:
    """Cut, longer, other counts, texts that are not there or there twice: one code."""
    with pytest.raises(Untrusted) as refusal:
        Batch.from_bytes(1, 2, data)

    assert refusal.value.code == "audit-record"


@given(st.binary(max_size=200), st.integers(1, 4))
def test_no_bytes_are_more_than_refused(data: bytes, count: int) -> None:
    """Whatever a key opens: a block or a refusal."""
    try:
        batch = Batch.from_bytes(1, count, data)
    except Untrusted:
        return
    assert len(list(batch.records())) == count
