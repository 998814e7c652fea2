"""Walking a trail from its beginning: every frame in its place, or the first that is not.

    for placed in walk(directory):
        placed.file, placed.header, placed.frame

The walk checks order and chain, which needs no key; `verify.py` and `reader.py` open what it yields.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from consent_core.audit.frames import GENESIS, Frame, Header, UnfinishedFrame, read_frames
from consent_core.audit.recovery import log_files, map_file
from consent_core.errors import Untrusted


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame that follows from all before it, and the segment it is in. `is_first`: the whole trail begins here."""

    file: Path
    header: Header
    frame: Frame
    is_first: bool = False


class BrokenTrail(Untrusted):  # a kind of Untrusted
    """The first frame that is not what it must be: in which file and segment, and which record."""

    def __init__(self, code: str, message: str, file: Path, segment: int, seq: int) -> None:
        super().__init__(code, f"{file.name}, segment {segment}, record {seq}: {message}")
        self.file, self.segment, self.seq = file.name, segment, seq


class Walk:
    """One walk over a directory. After it, `seq`, `chain` and `segment` are where the trail ends.

    `unfinished`: bytes of a record that a crash left at the very end.
    """

    def __init__(self, directory: Path, since: int = 0) -> None:
        """`since`: leave out files that end before this record; a caller that does so holds a head of it."""
        self.directory = directory
        self._since = since
        self.header: Header | None = None
        self.seq = 0
        self.chain = GENESIS
        self.unfinished = 0

    @property
    def segment(self) -> int:
        """The last segment entered; 0 before the first."""
        return 0 if self.header is None else self.header.segment

    def __iter__(self) -> Iterator[Placed]:
        """The frames in order. Raises: BrokenTrail at the first bad one."""
        files = _from_record(log_files(self.directory), self._since)
        for file in files:
            data = map_file(file)
            try:
                for frame in read_frames(data):
                    yield self._place(file, frame)
            except UnfinishedFrame as end:
                if file != files[-1]:
                    raise self._broken("audit-frame", "the file ends inside a record", file) from end
                self.unfinished = len(data) - end.offset
            except BrokenTrail:
                raise
            except Untrusted as error:
                raise self._broken(error.code, error.message, file) from error

    def _place(self, file: Path, frame: Frame) -> Placed:
        is_first = self.header is None
        if frame.is_header:
            header = Header.from_bytes(frame.body)
            if is_first:
                self.chain = header.previous
            self._check_header(file, frame, header)
            self.header, self.seq = header, header.first_seq - 1
        else:
            self._check_record(file, frame)
            self.seq = frame.last
        self.chain = frame.chain
        assert self.header is not None
        return Placed(file, self.header, frame, is_first)

    def _check_header(self, file: Path, frame: Frame, header: Header) -> None:
        if header.segment != frame.number or header.previous != self.chain or not frame.follows(self.chain):
            raise self._broken("audit-chain", "the next segment does not follow from this record", file)
        if self.header is None:
            return
        if header.segment != self.header.segment + 1 or header.first_seq != self.seq + 1:
            raise self._broken("audit-sequence", f"segment {header.segment} is not the next one", file)
        if header.writer != self.header.writer:
            raise self._broken("audit-sequence", "the next segment is by another writer", file)

    def _check_record(self, file: Path, frame: Frame) -> None:
        if self.header is None:
            raise self._broken("audit-frame", "the trail begins outside a segment", file)
        if frame.number != self.seq + 1:
            raise self._broken("audit-sequence", f"expected record {self.seq + 1}, found {frame.number}", file)
        if not frame.follows(self.chain):
            raise self._broken("audit-chain", "altered, or what stood before it was", file)

    def _broken(self, code: str, message: str, file: Path) -> BrokenTrail:
        return BrokenTrail(code, message, file, self.segment, self.seq + 1)


def _from_record(files: list[Path], seq: int) -> list[Path]:
    """The newest file that begins at or before a record, and all later ones. Older ones are not looked at."""
    for number in range(len(files) - 1, 0, -1):
        header = next((frame for frame in read_frames(map_file(files[number])) if frame.is_header), None)
        if seq and header is not None and Header.from_bytes(header.body).first_seq <= seq:
            return files[number:]
    return files
