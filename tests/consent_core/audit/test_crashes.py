"""Crashes, full disks and absent key providers: at most the unfinished record, and never silently."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from consent_core.audit.journal import Journal
from consent_core.audit.reader import read_records
from consent_core.audit.verify import verify
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import ManualClock
from consent_core.errors import Rejected, Unavailable
from consent_core.trust.providers.keyring import LocalKeyring

from .conftest import DAY_S, WRITER, Open, fill, flip, frames, only_log


def test_a_restart_continues_the_trail(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """Sequence, segment and chain go on; each start is a new segment."""
    for _ in range(3):
        audit = opened()
        fill(audit, 2)
        head = audit.head().text
        audit.close()
    report = verify(directory, provider, [head])

    assert (report.records, report.segments, report.problem, report.head) == (6, 3, None, head)


@pytest.mark.parametrize("kept", [1, 16, 17, 40, -1])
def test_an_unfinished_record_is_dropped_and_said_so(
    opened: Open, directory: Path, provider: LocalKeyring, kept: int
) -> None:
    """A file that ends inside a record: a notice before the restart, a notice after it, and one record less."""
    audit = opened()
    fill(audit, 3)
    audit.close()
    log, last = only_log(directory), frames(directory)[-1]
    log.write_bytes(log.read_bytes()[: (last.offset if kept > 0 else last.end) + kept])
    before = verify(directory, provider)
    fill(opened(), 2)
    after = verify(directory, provider)

    assert (before.records, before.problem) == (2, None)
    assert "unfinished record after 2" in before.notices[0]
    assert (after.records, after.problem) == (4, None)
    assert "unfinished record after 2" in after.notices[0]
    assert [path.name for path in directory.glob("*.cut")] == [f"{log.stem}-1.cut"]


def test_damage_found_at_a_restart_is_a_problem_and_kept_as_evidence(
    opened: Open, directory: Path, provider: LocalKeyring
) -> None:
    """A flipped length is not a crash: the writer goes on, sets the bytes aside, and `verify` says so for ever."""
    audit = opened()
    fill(audit, 5)
    audit.close()
    log = only_log(directory)
    original = log.read_bytes()
    third = frames(directory)[3]
    log.write_bytes(flip(original, third.offset + 10))
    fill(opened(), 1)
    report = verify(directory, provider)

    assert report.problem is not None
    assert (report.problem.code, report.problem.seq) == ("audit-damaged", 3)
    assert next(directory.glob("*.cut")).read_bytes() == flip(original, third.offset + 10)[third.offset :]


WRITE = """
import os, sys
from pathlib import Path
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import SystemClock
from consent_core.trust.providers.keyring import LocalKeyring
directory = Path(sys.argv[1])
limits = AuditLimits(seal_every_s=0.002, sync_every_s=0.01, segment_bytes=200_000)
audit = AuditWriter.open(directory, "edge/tokyo-1", LocalKeyring(Path(sys.argv[2])), SystemClock(), limits)
for number in range(1_000_000):
    seq = audit.append({"n": number}, subject="5" * 64, person={"sub": "x"})
    os.write(1, f"{seq:200}\\n".encode())  # the pipe soon fills: whoever reads is never far behind
"""


def _write_in_a_process(directory: Path, keyring: Path, crash: str = "") -> "subprocess.Popen[bytes]":
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "CONSENT_EDGE_CRASH": crash}
    command = [sys.executable, "-c", WRITE, str(directory), str(keyring)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def test_kill_9_while_writing_loses_no_answered_record(directory: Path, provider: LocalKeyring, tmp_path: Path) -> None:
    """Whatever `append` returned is there after SIGKILL; the next writer goes on; the whole trail verifies."""
    keyring = tmp_path / "keys" / "keyring.json"
    for _ in range(3):
        with _write_in_a_process(directory, keyring) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(400)]
            writer.kill()
            answered = int((b"".join(lines) + writer.stdout.read()).split(b"\n")[-2])
        report = verify(directory, provider)
        assert report.problem is None
        assert report.records in (answered, answered + 1)


@pytest.mark.parametrize(
    "crash",
    [
        "audit-key-written",
        "audit-key-written:2",
        "audit-before-write",
        "audit-before-write:2",
        "audit-after-write",
        "audit-after-write:3",
        "audit-journaled",
        "audit-journaled:5",
        "audit-sealed",
        "audit-sealed:3",
    ],
)
def test_crash_points_of_the_writer(
    opened: Open, directory: Path, provider: LocalKeyring, tmp_path: Path, crash: str
) -> None:
    """Killed at each named line: whatever was answered is there, before the restart and after it, once."""
    with _write_in_a_process(directory, tmp_path / "keys" / "keyring.json", crash) as writer:
        answered = len(writer.communicate()[0].split())
    assert writer.returncode == -9
    before = verify(directory, provider)
    assert before.problem is None
    assert before.records - answered in (0, 1)
    fill(opened(), 2)
    after = verify(directory, provider, [before.head] if before.records > before.waiting else [])

    assert (after.records, after.waiting, after.problem) == (before.records + 2, 0, None)
    numbers = [record.fields["n"] for record in read_records(directory, provider)]
    assert numbers == [*range(before.records), 0, 1]


def test_crash_while_sealing_what_was_left_repeats_nothing(
    opened: Open, directory: Path, provider: LocalKeyring, tmp_path: Path
) -> None:
    """A second kill, after the first one's records were sealed and before the journal was cleared."""
    for crash in ("audit-journaled:5", "audit-left-sealed"):
        with _write_in_a_process(directory, tmp_path / "keys" / "keyring.json", crash) as writer:
            writer.communicate()
        assert writer.returncode == -9
    opened()

    assert [record.fields["n"] for record in read_records(directory, provider)] == [0, 1, 2, 3, 4]


def test_records_that_waited_out_a_crash_are_told(
    opened: Open, directory: Path, provider: LocalKeyring, tmp_path: Path
) -> None:
    """They were protected by file permissions alone until the restart; the trail says how many."""
    with _write_in_a_process(directory, tmp_path / "keys" / "keyring.json", "audit-journaled") as writer:
        writer.communicate()
    assert verify(directory, provider).waiting == 1
    opened()
    report = verify(directory, provider)

    assert (report.records, report.waiting) == (1, 0)
    assert report.notices == ["segment 2: 1 records had waited out a crash unsealed"]


FIELDS = b'"n":2'
TEXT_AT = 24 + 2 * 256  # behind two sides, a sixteenth each


def left_waiting(opened: Open, directory: Path) -> Journal:
    """A trail of one record, and a journal in which a second one waits."""
    audit = opened()
    fill(audit, 1)
    audit.close()
    journal = Journal(directory, 4_096)
    journal.add(2, 1, FIELDS, b"")
    return journal


@pytest.mark.parametrize(("lost", "dropped"), [((TEXT_AT + 12, 1), 20), ((TEXT_AT + 8, 5), 16)])
def test_a_record_without_its_text_is_dropped_and_said_so(
    opened: Open, directory: Path, provider: LocalKeyring, lost: tuple[int, int], dropped: int
) -> None:
    """Its text did not reach the disk in a power cut: it never was, and the next segment says how much is lost."""
    journal = left_waiting(opened, directory)
    begin, length = lost
    journal._map[begin : begin + length] = bytes(length)
    journal.close()
    fill(opened(), 1)
    report = verify(directory, provider)

    assert (report.records, report.problem) == (2, None)
    assert report.notices == [f"segment 2: {dropped} bytes of an unfinished record after 1 were set aside"]


def test_a_text_without_its_record_is_dropped_and_said_so(
    opened: Open, directory: Path, provider: LocalKeyring
) -> None:
    """Killed between the text and the word that names it: the record never was."""
    journal = left_waiting(opened, directory)
    journal._write(b'"n":3')
    journal.close()
    fill(opened(), 1)
    report = verify(directory, provider)

    assert (report.records, report.problem) == (3, None)
    assert report.notices == [
        "segment 2: 5 bytes of an unfinished record after 1 were set aside",
        "segment 2: 1 records had waited out a crash unsealed",
    ]


def test_a_full_journal_is_sealed_by_the_caller(directory: Path, provider: LocalKeyring) -> None:
    """A thread that does not keep up costs time, not records."""
    limits = AuditLimits(seal_every_s=3600, journal_bytes=4_096)
    audit = AuditWriter.open(directory, WRITER, provider, ManualClock(), limits)
    fill(audit, 200)
    head = audit.head().text
    audit.close()

    assert verify(directory, provider, [head]).records == 200


def test_a_disk_that_stays_full_is_back_pressure(directory: Path, provider: LocalKeyring) -> None:
    """What the journal holds is answered; then requests are refused and counted; nothing is lost when space returns."""
    clock = ManualClock()
    limits = AuditLimits(seal_every_s=3600, journal_bytes=4_096)
    audit = AuditWriter.open(directory, WRITER, provider, clock, limits)
    segments = audit._segments
    file, segments._file = segments._file, os.open("/dev/full", os.O_WRONLY)
    written = 0
    while audit.refused == 0:
        with contextlib.suppress(Unavailable):
            audit.append({"n": written})
            written += 1
    os.close(segments._file)
    segments._file = file
    clock.advance(2)
    audit.append({"n": "after"})
    head = audit.head().text
    audit.close()

    assert written > 10
    assert verify(directory, provider, [head]).problem is None
    assert [record.fields["n"] for record in read_records(directory, provider)] == [*range(written), "after"]


def test_crash_in_retention_repeats_it(
    opened: Open, directory: Path, provider: LocalKeyring, clock: ManualClock
) -> None:
    """Recorded but not yet deleted: the trail is whole, and the next run deletes."""
    audit = opened()
    fill(audit, 1)
    clock.advance(3 * DAY_S)
    audit.append({"event": "retention", "through": "2027-01-15", "first_segment": 2})
    assert verify(directory, provider).problem is None

    assert audit.expire(keep_days=1) == ["2027-01-15.log"]
    assert verify(directory, provider).problem is None


def test_two_writers_of_one_trail_are_refused(opened: Open) -> None:
    """The second process is told, not queued."""
    opened()

    with pytest.raises(Unavailable) as refusal:
        opened()

    assert refusal.value.code == "audit-locked"


def _limited(directory: Path, keyring: Path, limit: int) -> str:
    """Write until the file-size limit of the process stops it, then lift the limit; what happened, as JSON."""
    script = """
import json, resource, signal, sys
from pathlib import Path
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import ManualClock
from consent_core.errors import Unavailable
from consent_core.trust.providers.keyring import LocalKeyring
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
clock = ManualClock()
keyring = LocalKeyring(Path(sys.argv[2]))
audit = AuditWriter.open(Path(sys.argv[1]), "edge/tokyo-1", keyring, clock, AuditLimits(seal_every_s=None))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
written, codes = 0, []
for number in range(60):
    clock.advance(2)
    try:
        audit.append({"n": number, "text": "x" * 150})
        written += 1
    except Unavailable as error:
        codes.append(error.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
clock.advance(2)
audit.append({"n": "after"})
print(json.dumps({"written": written + 1, "codes": codes, "refused": audit.refused, "head": audit.head().text}))
audit.close()
"""
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", script, str(directory), str(keyring), str(limit)]
    return subprocess.run(command, check=True, capture_output=True, env=environment, text=True).stdout


def test_a_full_disk_refuses_and_leaves_no_gap(directory: Path, provider: LocalKeyring, tmp_path: Path) -> None:
    """When a write is cut short, `append` raises and counts, nothing half-written stays, and it goes on later."""
    answer = json.loads(_limited(directory, tmp_path / "keys" / "keyring.json", 8_192))
    report = verify(directory, provider, [answer["head"]])

    assert set(answer["codes"]) == {"audit-unwritable"}
    assert answer["refused"] == len(answer["codes"]) > 10
    assert (report.records, report.problem) == (answer["written"], None)
    numbers = [record.fields["n"] for record in read_records(directory, provider)]
    assert numbers == [*range(answer["written"] - 1), "after"]


def test_after_a_failed_write_the_nonce_is_not_used_again(opened: Open, directory: Path, clock: ManualClock) -> None:
    """The segment ends with the failure: the same sequence number is next sealed under another key."""
    audit = opened()
    fill(audit, 2)
    segments = audit._segments
    file, segments._file = segments._file, os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(Unavailable):
        audit.append({"n": 2})
    os.close(segments._file)
    segments._file = file
    with pytest.raises(Unavailable, match="a moment ago"):
        audit.append({"n": 3})
    clock.advance(1)

    assert audit.append({"n": 4}) == 3
    assert [frame.number for frame in frames(directory)] == [1, 1, 2, 2, 3]
    assert audit.refused == 2


def test_while_the_key_provider_is_away_the_segment_goes_on(
    opened: Open, directory: Path, provider: LocalKeyring, clock: ManualClock, tmp_path: Path
) -> None:
    """A key provider that does not answer costs no record; the next segment begins when it is back."""
    audit = opened(segment_s=10)
    keyring = tmp_path / "keys" / "keyring.json"
    keyring.rename(tmp_path / "away")
    clock.advance(11)
    fill(audit, 2)
    (tmp_path / "away").rename(keyring)
    clock.advance(11)
    fill(audit, 2)
    report = verify(directory, provider, [audit.head().text])

    assert (report.records, report.segments, report.problem) == (4, 2, None)


def test_without_a_key_provider_no_trail_begins(opened: Open, provider: LocalKeyring, tmp_path: Path) -> None:
    """A start that could not seal is refused."""
    (tmp_path / "keys" / "keyring.json").unlink()

    with pytest.raises(Unavailable) as refusal:
        opened()

    assert refusal.value.code == "key-provider"


def test_the_thread_keeps_the_next_key_ready(directory: Path, provider: LocalKeyring) -> None:
    """With its thread running the writer needs no key provider at the moment it begins a segment."""
    clock = ManualClock()
    audit = AuditWriter.open(
        directory, WRITER, provider, clock, AuditLimits(seal_every_s=0.001, sync_every_s=0.001, segment_s=10)
    )
    while audit._segments._prepared is None:
        fill(audit, 1)
        clock.advance(1)
    with audit._sealing:
        prepared = audit._segments._prepared
        clock.advance(10)
        fill(audit, 1)
        audit._seal()
        assert audit._segments._cipher is prepared[1]
    head = audit.head().text
    audit.close()

    assert verify(directory, provider, [head]).problem is None


@pytest.mark.parametrize("head", ["", "1", "x:" + "0" * 64, "1:zz", "-1:" + "0" * 64])
def test_a_head_of_another_form_is_refused(directory: Path, head: str) -> None:
    """A head is a sequence and a chain value."""
    with pytest.raises(Rejected) as refusal:
        verify(directory, None, [head])

    assert refusal.value.code == "audit-head"
