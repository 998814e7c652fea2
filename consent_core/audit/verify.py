"""Checks a trail: is every record there, unaltered, in its place, and does it begin and end where it must.

    report = verify(data / "audit" / "edge" / "tokyo-1", provider, heads=["812:9f0c…"])
    report.records, report.problem

Chain and order need no key. With a key provider each record is opened too, so that somebody who rewrote the whole
chain is found. `heads` are what the writer reported to others: without one, a tail that was cut off cannot be seen.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consent_core.audit.journal import NAME, found_journal
from consent_core.audit.reader import Opener, read_records
from consent_core.audit.recovery import log_files
from consent_core.audit.trail import BrokenTrail, Placed, Walk
from consent_core.errors import Rejected, Unavailable, Untrusted
from consent_core.trust.providers import KeyProvider

HEAD = re.compile(r"[0-9]{1,20}:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Problem:
    """The first thing wrong: an error code, and where. `seq` is the first record that cannot be relied on."""

    code: str
    message: str
    file: str
    segment: int
    seq: int


@dataclass(slots=True)
class VerifyReport:
    """What a check found. `records` are those before the first problem. `head`: `<sequence>:<chain>` at the end.

    `waiting`: how many of `records` a running or killed writer has yet to seal. `opened`: whether records were opened
    with their keys. `notices` tell what is odd but explained.
    """

    directory: str
    writer: str = ""
    records: int = 0
    waiting: int = 0
    segments: int = 0
    first_seq: int = 0
    head: str = ""
    opened: bool = False
    problem: Problem | None = None
    notices: list[str] = field(default_factory=list)


def verify(
    directory: Path, provider: KeyProvider | None = None, heads: Iterable[str] = (), expected: bool = False
) -> VerifyReport:
    """Check one writer's trail. Never raises for what it finds; Unavailable("key-provider") if it cannot look.

    `expected`: it must be here, also where no head of it is known.
    Raises: Rejected("audit-head") for a head of another form.
    """
    return _Check(directory, provider, dict(_read_head(head) for head in heads), expected).run()


def verify_all(
    root: Path, provider: KeyProvider | None, heads: dict[str, list[str]], elsewhere: Collection[str] = ()
) -> list[VerifyReport]:
    """Check every trail below `audit/edge/`, and that every one with `heads` is here.

    `elsewhere`: POPs whose trails lie on another machine and are verified there, with the heads from here.
    """
    names = {path.parent.name for path in root.glob("*/*.log")}
    names |= {trail for trail in heads if trail.partition(".w")[0] not in elsewhere}
    return [verify(root / name, provider, heads.get(name, ()), name in heads) for name in sorted(names)]


def reported_heads(control_plane: Path, provider: KeyProvider) -> dict[str, list[str]]:
    """What POPs reported of their trails, by trail, as the control plane's own trail recorded it.

    Where that trail is broken: what stands before. Its own verdict says so.
    """
    heads: dict[str, list[str]] = {}
    try:
        for record in read_records(control_plane, provider):
            for trail, head in _heads_in(record.fields):
                heads.setdefault(trail, []).append(head)
    except (Untrusted, Unavailable, OSError) as error:
        if getattr(error, "code", "") == "key-provider":
            raise
    return heads


def _heads_in(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Trail and head of each head in a record. A POP speaks for its own trails only."""
    head, pop = fields.get("audit_head"), fields.get("pop")
    if not isinstance(pop, str):
        return
    told = [(pop, head)] if isinstance(head, str) else []
    told += [(trail, head) for trail, _, head in (str(text).partition("=") for text in fields.get("worker_heads", ()))]
    for trail, head in told:
        if (trail == pop or is_trail_of(trail, pop)) and HEAD.fullmatch(head):
            yield trail, head


def is_trail_of(trail: str, pop: str) -> bool:
    """Whether a trail is one of a POP's workers' (`tokyo-1.w2`). No POP's id has a dot in it."""
    name, _, worker = trail.partition(".w")
    return name == pop and worker.isascii() and worker.isdecimal()


class _Check:
    """One check under way. `_heads`: reported and not yet met, sequence to chain value."""

    def __init__(self, directory: Path, provider: KeyProvider | None, heads: dict[int, str], expected: bool) -> None:
        self._journal, self._unreadable = found_journal(
            directory
        )  # first: what is sealed meanwhile is found in the log
        self._walk = Walk(directory)
        self._opener = None if provider is None else Opener(provider)
        self._heads, self._expected = heads, expected or bool(heads)
        self._chains: dict[int, set[str]] = {seq: set() for seq in heads}
        self._begins_after: tuple[int, str] | None = None  # what must be explained by a retention record
        self._report = VerifyReport(directory.name, opened=provider is not None)

    def run(self) -> VerifyReport:
        """Walk to the end or to the first problem."""
        report = self._report
        try:
            self._frames()
            self._ending()
            report.waiting = sum(len(batch) for batch in self._journal.after(self._walk.seq))
            report.records += report.waiting
        except BrokenTrail as broken:
            report.problem = Problem(broken.code, broken.message, broken.file, broken.segment, broken.seq)
        except OSError as error:
            place = Path(str(error.filename or self._walk.directory)).name
            message = f"{place}: {error.strerror}"
            report.problem = Problem("audit-unreadable", message, place, self._walk.segment, self._walk.seq + 1)
        report.head = f"{self._walk.seq}:{self._walk.chain.hex()}"
        return report

    def _frames(self) -> None:
        for placed in self._walk:
            if placed.frame.is_header:
                self._header(placed)
            else:
                self._record(placed)
            if self._walk.seq in self._chains:
                self._chains[self._walk.seq].add(placed.frame.chain.hex())

    def _header(self, placed: Placed) -> None:
        header, report = placed.header, self._report
        report.segments += 1
        if placed.is_first:
            report.writer, report.first_seq = header.writer, header.first_seq
            if header.segment > 1:
                self._begins_after = header.segment, placed.file.stem
        if header.damaged:
            raise BrokenTrail(
                "audit-damaged",
                f"the writer found {header.dropped} damaged bytes before this and set them aside",
                placed.file,
                header.segment,
                header.first_seq,
            )
        if header.dropped:
            report.notices.append(
                f"segment {header.segment}: {header.dropped} bytes of an unfinished record after {header.first_seq - 1}"
                " were set aside"
            )
        if header.recovered:
            report.notices.append(
                f"segment {header.segment}: {header.recovered} records had waited out a crash unsealed"
            )
        if self._opener is not None:
            self._opener.enter(placed)

    def _record(self, placed: Placed) -> None:
        if self._opener is not None:
            for fields in self._opener.open(placed):
                if fields.get("event") == "retention" and self._begins_after is not None:
                    self._explain_beginning(fields.get("through", ""), fields.get("first_segment", 0))
        self._report.records += placed.frame.count

    def _explain_beginning(self, through: str, first_segment: int) -> None:
        assert self._begins_after is not None
        if first_segment == self._begins_after[0] and through < self._begins_after[1]:
            self._begins_after = None
            self._report.notices.append(f"days up to {through} were removed by retention")

    def _ending(self) -> None:
        report, walk = self._report, self._walk
        files = log_files(walk.directory) or [walk.directory / "-"]
        if walk.header is None and self._expected:
            self._nothing(files[0])
        if walk.unfinished:
            report.notices.append(f"{walk.unfinished} bytes of an unfinished record after {walk.seq} at the end")
        if self._begins_after is not None:
            self._missing_beginning(files[0])
        for seq, chain in sorted(self._heads.items()):
            if seq > walk.seq:
                raise self._broken(
                    "audit-truncated", f"record {seq} was reported and is missing", files[-1], walk.seq + 1
                )
            if seq >= report.first_seq - 1 and chain not in self._chains[seq]:
                raise self._broken("audit-forked", f"another record {seq} was reported", files[-1], seq)
        if self._unreadable is not None:
            raise self._broken("audit-journal", self._unreadable.message, walk.directory / NAME, walk.seq + 1)

    def _nothing(self, file: Path) -> None:
        if self._heads:
            raise self._broken("audit-truncated", f"{max(self._heads)} records were reported, none is here", file, 1)
        raise self._broken("audit-missing", "the whole trail is missing", file, 1)

    def _missing_beginning(self, file: Path) -> None:
        if self._opener is not None:
            message = f"no retention record explains why the trail begins at {self._report.first_seq}"
            raise self._broken("audit-beginning", message, file, 1)
        self._report.notices.append(f"begins at record {self._report.first_seq}: open the records to see why")

    def _broken(self, code: str, message: str, file: Path, seq: int) -> BrokenTrail:
        return BrokenTrail(code, message, file, self._walk.segment, seq)


def _read_head(text: str) -> tuple[int, str]:
    seq, _, chain = text.partition(":")
    if not HEAD.fullmatch(text):
        raise Rejected("audit-head", "expected <sequence>:<64 hex digits>")
    return int(seq), chain
