"""Wraps every data key of a trail anew, while its writer runs: after it, the old wrapping key opens nothing here.

report = rotate(directory, provider)      # a new wrapping key, then everything under it
"""

from dataclasses import dataclass, replace
from pathlib import Path

from consent_core.audit.frames import Header, read_frames
from consent_core.audit.recovery import log_files, map_file
from consent_core.audit.segments import SegmentKey, key_context, read_keys, write_keys
from consent_core.audit.visitors import VisitorKeys
from consent_core.errors import Untrusted
from consent_core.trust.files import locked
from consent_core.trust.providers import KeyProvider


@dataclass(frozen=True, slots=True)
class RotationReport:
    """How many data keys of which trail were wrapped anew."""

    directory: str
    segments: int


def rotate(directory: Path, provider: KeyProvider) -> RotationReport:
    """Make a new wrapping key and wrap this trail's keys under it."""
    provider.rotate()
    return rewrap(directory, provider)


def rewrap(directory: Path, provider: KeyProvider) -> RotationReport:
    """Wrap this trail's keys under the newest wrapping key. Safe to repeat; dying leaves each file old or new.

    Raises: Untrusted("audit-keys" | "key-unwrap"), Unavailable("key-provider").
    """
    writer, count = _writer_of(directory), 0
    for log in log_files(directory):
        with locked(directory):
            keys = {number: _rewrapped(key, writer, provider) for number, key in read_keys(log).items()}
            write_keys(log, keys)
        count += len(keys)
    visitors = VisitorKeys(directory, writer, provider)
    visitors.rewrap()
    visitors.close()
    return RotationReport(directory.name, count)


def _rewrapped(key: SegmentKey, writer: str, provider: KeyProvider) -> SegmentKey:
    return replace(key, wrapped=provider.rewrap(key.wrapped, key_context(writer, key.segment)))


def _writer_of(directory: Path) -> str:
    """Who writes here, as the trail itself says."""
    for log in log_files(directory):
        for frame in read_frames(map_file(log)):
            return Header.from_bytes(frame.body).writer
    raise Untrusted("audit-frame", f"no trail in {directory.name}")
