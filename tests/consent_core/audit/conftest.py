"""One trail per test, with a keyring and a clock that stands still."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consent_core.audit.frames import Frame, read_frames
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import ManualClock
from consent_core.trust.providers.keyring import LocalKeyring

SUB = "AAAAAAAAAAAAAAAAAAAAAQ"
SUBJECT = "5" * 64
WRITER = "edge/tokyo-1"
QUIET = AuditLimits(seal_every_s=None)
DAY_S = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(tmp_path: Path) -> LocalKeyring:
    return LocalKeyring(tmp_path / "keys" / "keyring.json")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "edge" / "tokyo-1"


Open = Callable[..., AuditWriter]


@pytest.fixture
def opened(directory: Path, provider: LocalKeyring, clock: ManualClock) -> Iterator[Open]:
    """Opens the trail's writer; all are closed at the end."""
    writers: list[AuditWriter] = []

    def open_writer(**limits: Any) -> AuditWriter:
        writers.append(AuditWriter.open(directory, WRITER, provider, clock, AuditLimits(seal_every_s=None, **limits)))
        return writers[-1]

    yield open_writer
    for writer in writers:
        writer.close()


def fill(audit: AuditWriter, count: int) -> None:
    """Mixed requests: every third names a visitor, every fifth was refused."""
    for number in range(count):
        fields = {"route": "slot", "status": 403 if number % 5 == 0 else 200, "n": number}
        if number % 3:
            audit.append(fields)
        else:
            audit.append(fields, subject=SUBJECT, person={"sub": SUB, "n": number})


def only_log(directory: Path) -> Path:
    (log,) = directory.glob("*.log")
    return log


def frames(directory: Path) -> list[Frame]:
    return list(read_frames(only_log(directory).read_bytes()))


def flip(data: bytes, at: int) -> bytes:
    """The same bytes with one bit turned."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
