"""Every kind of tampering is named at the first bad record."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent_core.audit.frames import GENESIS, Frame, Header, pack_block, pack_header, read_frames
from consent_core.audit.segments import SegmentCipher
from consent_core.audit.verify import verify, verify_all
from consent_core.audit.writer import AuditWriter
from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.trust.providers.keyring import LocalKeyring

from .conftest import QUIET, WRITER, Open, fill, flip, frames, only_log


def _records(data: bytes) -> list[Frame]:
    return [frame for frame in read_frames(data) if not frame.is_header]


def _flip_body(data: bytes) -> bytes:
    return flip(data, _records(data)[4].offset + 25)


def _flip_number(data: bytes) -> bytes:
    return flip(data, _records(data)[4].offset + 8)


def _flip_length(data: bytes) -> bytes:
    return flip(data, _records(data)[4].offset + 15)


def _flip_chain(data: bytes) -> bytes:
    return flip(data, _records(data)[4].end - 1)


def _cut(data: bytes) -> bytes:
    return data[: _records(data)[4].offset] + data[_records(data)[5].offset :]


def _swap(data: bytes) -> bytes:
    fifth, sixth = _records(data)[4:6]
    return data[: fifth.offset] + data[sixth.offset : sixth.end] + data[fifth.offset : fifth.end] + data[sixth.end :]


def _replay(data: bytes) -> bytes:
    fourth = _records(data)[3]
    return data[: fourth.end] + data[fourth.offset : fourth.end] + data[fourth.end :]


TAMPERING = [
    (_flip_body, "audit-chain", 5),
    (_flip_number, "audit-frame", 5),
    (_flip_length, "audit-frame", 5),
    (_flip_chain, "audit-chain", 5),
    (_cut, "audit-sequence", 5),
    (_swap, "audit-sequence", 5),
    (_replay, "audit-sequence", 5),
]


@pytest.mark.parametrize(("tamper", "code", "seq"), TAMPERING, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("with_keys", [True, False], ids=["with keys", "without keys"])
def test_tampering_is_named_at_the_first_bad_record(
    opened: Open,
    directory: Path,
    provider: LocalKeyring,
    tamper: Callable[[bytes], bytes],
    code: str,
    seq: int,
    with_keys: bool,
) -> None:
    """Flip, cut, swap, replay: the report says which record, and counts those before it."""
    fill(opened(), 9)
    log = only_log(directory)
    log.write_bytes(tamper(log.read_bytes()))
    report = verify(directory, provider if with_keys else None)

    assert report.problem is not None
    assert (report.problem.code, report.problem.seq, report.records) == (code, seq, seq - 1)


def test_a_truncated_tail_is_seen_by_a_reported_head(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """Whole records cut from the end: the chain is fine, the reported head is not."""
    audit = opened()
    fill(audit, 9)
    head = audit.head().text
    log = only_log(directory)
    log.write_bytes(log.read_bytes()[: frames(directory)[7].end])

    assert verify(directory, provider).problem is None
    report = verify(directory, provider, [head])
    assert report.problem is not None
    assert (report.problem.code, report.problem.seq) == ("audit-truncated", 8)


def test_a_lost_trail_is_seen_by_a_reported_head(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """Every file gone is a truncation too."""
    audit = opened()
    fill(audit, 2)
    head = audit.head().text
    only_log(directory).unlink()
    report = verify(directory, provider, [head])

    assert report.problem is not None
    assert report.problem.code == "audit-truncated"


def test_a_workers_trail_that_is_gone_is_missed(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """A whole directory, beside the POP's own; trails of POPs that are named as elsewhere are not expected here."""
    audit = opened()
    fill(audit, 2)
    head = audit.head().text
    heads = {"tokyo-1.w2": [head], "osaka-1": [head], "osaka-1.w2": [head]}
    reports = verify_all(directory.parent, provider, heads, {"osaka-1"})

    assert [(report.directory, report.problem and report.problem.code) for report in reports] == [
        ("tokyo-1", None),
        ("tokyo-1.w2", "audit-truncated"),
    ]


def test_a_rewritten_history_is_seen_by_a_reported_head(
    opened: Open, directory: Path, provider: LocalKeyring, tmp_path: Path
) -> None:
    """A backup restored and continued differently is another history, even if its own chain is whole."""
    audit = opened()
    fill(audit, 2)
    audit.close()
    shutil.copytree(directory, tmp_path / "backup")
    audit = AuditWriter.open(directory, WRITER, provider, ManualClock(), QUIET)
    fill(audit, 3)
    head = audit.head().text
    audit.close()
    shutil.rmtree(directory)
    shutil.copytree(tmp_path / "backup", directory)
    audit = AuditWriter.open(directory, WRITER, provider, ManualClock(), QUIET)
    fill(audit, 5)
    audit.close()
    report = verify(directory, provider, [head])

    assert report.problem is not None
    assert (report.problem.code, report.problem.seq) == ("audit-forked", 5)


def test_a_chain_computed_anew_is_found_by_opening(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """Whoever rewrites the whole chain still has no data key: opening names the record."""
    fill(opened(), 5)
    header, *records = frames(directory)
    data = only_log(directory).read_bytes()[: header.end]
    chain = header.chain
    assert chain != GENESIS
    for record in records:
        body = record.body if record.number != 3 else records[0].body
        frame, chain = pack_block(record.number, 1, body, chain)
        data += frame
    only_log(directory).write_bytes(data)

    assert verify(directory).problem is None
    report = verify(directory, provider)
    assert report.problem is not None
    assert (report.problem.code, report.problem.seq) == ("audit-record", 3)


def test_records_of_another_writer_do_not_open_here(
    opened: Open, directory: Path, provider: LocalKeyring, tmp_path: Path
) -> None:
    """Writer, segment and sequence are authenticated: the same place in another trail is another place."""
    key = bytes(32)
    sealed = SegmentCipher(key, "edge/osaka-1", 1).seal(1, 1, b"{}")

    for writer, segment, seq in [(WRITER, 1, 1), ("edge/osaka-1", 2, 1), ("edge/osaka-1", 1, 2)]:
        with pytest.raises(Untrusted) as refusal:
            SegmentCipher(key, writer, segment).open(seq, 1, sealed)
        assert refusal.value.code == "audit-record"


@pytest.mark.parametrize("damage", ["missing", "foreign", "altered"])
def test_a_damaged_key_file_is_named(opened: Open, directory: Path, provider: LocalKeyring, damage: str) -> None:
    """Without the right data key the records cannot be relied on, and the report says from where."""
    fill(opened(), 2)
    keys = only_log(directory).with_suffix(".keys")
    wrapped = provider.wrap(bytes(32), f"consent-edge/audit/v1|{WRITER}|1")
    content = {
        "missing": "",
        "foreign": re.sub('"wrapped":"[^"]*"', f'"wrapped":"{wrapped}"', keys.read_text()),
        "altered": keys.read_text().replace('"wrapped":"keyring:v1:', '"wrapped":"keyring:v1:AAAA'),
    }[damage]
    keys.write_text(content)
    report = verify(directory, provider)

    assert report.problem is not None
    assert report.problem.code == ("key-unwrap" if damage == "altered" else "audit-keys")
    assert report.problem.seq == 1


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_one_changed_byte_anywhere_is_found(whole: tuple[Path, LocalKeyring, bytes, str], data: st.DataObject) -> None:
    """Mutate one byte of the log: `verify` fails, or it was in bytes that were no record."""
    directory, provider, original, head = whole
    position = data.draw(st.integers(0, len(original) - 1))
    altered = bytearray(original)
    altered[position] ^= data.draw(st.integers(1, 255))
    only_log(directory).write_bytes(altered)

    assert verify(directory, provider, [head]).problem is not None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LocalKeyring, bytes, str]:
    """A closed trail of two segments, its bytes and its head."""
    directory = tmp_path_factory.mktemp("audit") / "tokyo-1"
    provider = LocalKeyring(tmp_path_factory.mktemp("keys") / "keyring.json")
    for _ in range(2):
        audit = AuditWriter.open(directory, WRITER, provider, ManualClock(), QUIET)
        fill(audit, 4)
        head = audit.head().text
        audit.close()
    return directory, provider, only_log(directory).read_bytes(), head


def test_a_segment_by_another_writer_is_refused(opened: Open, directory: Path) -> None:
    """A well-formed next segment that says it is somebody else's does not continue this trail."""
    audit = opened()
    fill(audit, 2)
    header = Header("edge/osaka-1", 2, 3, 0, "0" * 64, audit.head().chain)
    log = only_log(directory)
    log.write_bytes(log.read_bytes() + pack_header(header)[0])
    report = verify(directory)

    assert report.problem is not None
    assert (report.problem.code, report.problem.seq) == ("audit-sequence", 3)
