"""The journal: whatever was added and not yet sealed is found again, whenever its writer died."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent_core.audit.batches import TIME_LIMIT
from consent_core.audit.journal import MAX_RECORD_BYTES, NAME, Journal, Waiting, read_journal
from consent_core.errors import Unavailable

AT = 1_800_000_000
SIZE = 16_384


def found(directory: Path) -> list[tuple[int, bytes]]:
    batches = read_journal(directory).batches
    return [(seq, body) for batch in batches for seq, body in enumerate(batch.records(), batch.first)]


def body(at: int, fields: bytes, person: bytes) -> bytes:
    return b'{"at":%d,%b%b}' % (at, fields, person)


texts = st.integers(0, 60).map(lambda number: b'"n":"%d"' % number + b"x" * (number * 7 % 90))
people = st.sampled_from([b"", *(b',"person":"%d"' % number for number in range(40))])
steps = st.lists(st.one_of(st.just("turn"), st.just("seal"), st.tuples(st.integers(0, 9), texts, people)), max_size=300)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(steps)
def test_what_waits_is_found_in_order(tmp_path: Path, steps: list[str | tuple[int, bytes, bytes]]) -> None:
    """Any course of adding and sealing, then a kill: every record that was not sealed, under its number."""
    journal = Journal(tmp_path, SIZE)
    waiting: list[tuple[int, bytes]] = []
    seq, resting = 0, 0
    for step in steps:
        if isinstance(step, tuple):
            later, fields, person = step
            if journal.add(seq + 1, AT + later, fields, person):
                seq += 1
                waiting.append((seq, body(AT + later, fields, person)))
        elif step == "turn" or not resting:
            resting = len(journal.turn())
        else:
            side = journal.turn()
            sealed = list(journal.batch(side).records())
            assert sealed == [record for _, record in waiting[: len(sealed)]]
            side.clear()
            waiting, resting = waiting[len(sealed) :], 0
    assert found(tmp_path) == waiting
    assert read_journal(tmp_path).unfinished == 0
    journal.close()


def test_a_text_is_written_once_for_both_sides(tmp_path: Path) -> None:
    """A visitor who comes again costs a word, also after their last record was sealed."""
    journal = Journal(tmp_path, SIZE)
    for seq in range(1, 50):
        assert journal.add(seq, AT, b'"n":1', b',"person":"abc"')
        journal.turn().clear()

    assert (tmp_path / NAME).read_bytes().count(b"abc") == 1


def test_new_texts_take_the_place_of_old_ones_when_nothing_waits(tmp_path: Path) -> None:
    """Full of texts: no room until all is sealed, then room again, and what is added is found."""
    journal, seq = Journal(tmp_path, SIZE), 0
    while journal.add(seq + 1, AT, b'"n":"%d"' % seq + b"x" * 900, b""):
        seq += 1
    assert 5 < seq < 20
    assert not journal.is_empty
    journal.turn().clear()

    assert journal.is_empty
    assert journal.add(seq + 1, AT, b'"n":"new"', b"")
    assert found(tmp_path) == [(seq + 1, body(AT, b'"n":"new"', b""))]


def test_a_side_takes_so_many_words(tmp_path: Path) -> None:
    """Then the other one does."""
    journal, seq = Journal(tmp_path, SIZE), 0
    while journal.add(seq + 1, AT, b'"n":1', b""):
        seq += 1
    assert seq == SIZE // 128 - 2
    journal.turn()

    assert journal.add(seq + 1, AT, b'"n":1', b"")
    assert [number for number, _ in found(tmp_path)] == list(range(1, seq + 2))


@pytest.mark.parametrize("later", [TIME_LIMIT, -TIME_LIMIT])
def test_a_time_that_no_word_holds_waits_for_the_next_side(tmp_path: Path, later: int) -> None:
    """A clock that leaps is not recorded wrongly."""
    journal = Journal(tmp_path, SIZE)
    assert journal.add(1, AT, b'"n":1', b"")
    assert not journal.add(2, AT + later, b'"n":1', b"")
    journal.turn()

    assert journal.add(2, AT + later, b'"n":1', b"")
    assert found(tmp_path) == [(1, body(AT, b'"n":1', b"")), (2, body(AT + later, b'"n":1', b""))]


@pytest.mark.parametrize("at", [0, 5, AT])
def test_a_clock_that_was_never_set_loses_nothing(tmp_path: Path, at: int) -> None:
    """A machine that starts in 1970: each side begins with its own first record, also where its texts are known."""
    journal = Journal(tmp_path, SIZE)
    for seq in range(1, 4):
        assert journal.add(seq, at, b'"n":1', b"")
        assert found(tmp_path)[-1] == (seq, body(at, b'"n":1', b""))
        journal.turn().clear()


def test_texts_of_another_era_are_not_believed(tmp_path: Path) -> None:
    """Whoever reads while texts are replaced finds less, never something else."""
    journal = Journal(tmp_path, SIZE)
    journal.add(1, AT, b'"n":1', b"")
    journal._head[1] += 1

    assert found(tmp_path) == []


def test_what_follows_a_lost_record_takes_no_other_number(tmp_path: Path) -> None:
    """Of the older side the last word is gone: the newer side's records have lost their place, and that is said."""
    journal = Journal(tmp_path, SIZE)
    for seq in (1, 2):
        journal.add(seq, AT, b'"n":1', b"")
    older = journal.turn()
    journal.add(3, AT, b'"n":1', b"")
    older.words[older.end - 1] = 0

    assert found(tmp_path) == [(1, body(AT, b'"n":1', b""))]
    assert read_journal(tmp_path).unfinished == 8


def test_a_record_nobody_could_read_back_is_refused(tmp_path: Path) -> None:
    """Its caller's mistake, not back-pressure."""
    with pytest.raises(ValueError, match="a record of"):
        Journal(tmp_path, 2**20).add(1, AT, b"x" * MAX_RECORD_BYTES, b"y")


@pytest.mark.parametrize("data", [b"\0\0\1\7" + b"x" * 400, b"audit-j2", b"audit-j2" + b"x" * 247])
def test_a_journal_of_another_form_stops_the_start(tmp_path: Path, data: bytes) -> None:
    """It may hold records: nothing is thrown away."""
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(Unavailable) as refusal:
        read_journal(tmp_path)

    assert refusal.value.code == "audit-unwritable"
    assert "another form" in refusal.value.message


@pytest.mark.parametrize("data", [b"", bytes(100)])
def test_a_journal_that_was_never_begun_holds_nothing(tmp_path: Path, data: bytes) -> None:
    """Killed before its first bytes."""
    (tmp_path / NAME).write_bytes(data)

    assert read_journal(tmp_path) == Waiting()


@given(st.integers(0, SIZE - 1), st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_never_makes_a_record_of_another_text(tmp_path: Path, at: int, turned: int) -> None:
    """A changed byte costs records, and whatever is read says what was said; words are not covered by a checksum."""
    journal = Journal(tmp_path, SIZE)
    for seq in range(1, 30):
        journal.add(seq, AT, b'"n":%d' % seq, b',"person":"%d"' % (seq % 5))
    journal._map[at] ^= turned
    journal.close()
    said = {b'"n":%d' % seq for seq in range(1, 30)}
    try:
        bodies = [record for _, record in found(tmp_path)]
    except Unavailable:
        assert at < 8
        return
    assert all(record.partition(b",")[2].partition(b",")[0].rstrip(b"}") in said for record in bodies)
