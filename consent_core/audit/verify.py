"""Checks a trail: is every record there, unaltered, in its place, and does it begin and end where it must.

    report = verify(data / "audit" / "edge" / "tokyo-1", provider, heads=["812:9f0c…"])
    report.records, report.problem

Chain and order need no key. With a key provider each record is opened too, so that somebody who rewrote the whole
chain is found. `heads` are what the writer reported to others: without one, a tail that was cut off cannot be seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from consent_core.audit.journal import read_journal
from consent_core.audit.reader import Opener, read_records
from consent_core.audit.recovery import log_files
from consent_core.audit.trail import BrokenTrail, Placed, Walk
from consent_core.errors import Rejected
from consent_core.trust.providers import KeyProvider


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


def verify(directory: Path, provider: KeyProvider | None = None, heads: Iterable[str] = ()) -> VerifyReport:
    """Check one writer's trail. Never raises for what it finds; Unavailable("key-provider") if it cannot look.

    Raises: Rejected("audit-head") for a head of another form.
    """
    return _Check(directory, provider, dict(_read_head(head) for head in heads)).run()


def verify_all(root: Path, provider: KeyProvider | None, heads: dict[str, list[str]]) -> list[VerifyReport]:
    """Check every trail below `audit/edge/`; `heads` by trail.

    A POP's trails lie together: where one of its workers' was reported and the POP's own is here, it must be too.
    """
    names = {path.parent.name for path in root.glob("*/*.log")}
    names |= {trail for trail in heads if any(is_trail_of(trail, pop) for pop in names)}
    return [verify(root / name, provider, heads.get(name, ())) for name in sorted(names)]


def reported_heads(control_plane: Path, provider: KeyProvider) -> dict[str, list[str]]:
    """What POPs reported of their trails, by trail, as the control plane's own trail recorded it."""
    heads: dict[str, list[str]] = {}
    for record in read_records(control_plane, provider):
        head, pop = record.fields.get("audit_head"), record.fields.get("pop")
        if not isinstance(pop, str):
            continue
        if isinstance(head, str):
            heads.setdefault(pop, []).append(head)
        for told in record.fields.get("worker_heads", ()):  # `<trail>=<head>`; a POP speaks for its own trails only
            trail, _, head = str(told).partition("=")
            if is_trail_of(trail, pop):
                heads.setdefault(trail, []).append(head)
    return heads


def is_trail_of(trail: str, pop: str) -> bool:
    """Whether a trail is one of a POP's workers' (`tokyo-1.w2`). No POP's id has a dot in it."""
    name, _, worker = trail.partition(".w")
    return name == pop and worker.isascii() and worker.isdecimal()


class _Check:
    """One check under way. `_heads`: reported and not yet met, sequence to chain value."""

    def __init__(self, directory: Path, provider: KeyProvider | None, heads: dict[int, str]) -> None:
        self._journal = read_journal(directory)  # first: what is sealed meanwhile is found in the log
        self._walk = Walk(directory)
        self._opener = None if provider is None else Opener(provider)
        self._heads = heads
        self._chains: dict[int, set[str]] = {seq: set() for seq in heads}
        self._begins_after: tuple[int, str] | None = None  # what must be explained by a retention record
        self._report = VerifyReport(directory.name, opened=provider is not None)

    def run(self) -> VerifyReport:
        """Walk to the end or to the first problem."""
        report = self._report
        try:
            for placed in self._walk:
                if placed.frame.is_header:
                    self._header(placed)
                else:
                    self._record(placed)
                if self._walk.seq in self._chains:
                    self._chains[self._walk.seq].add(placed.frame.chain.hex())
            self._ending()
            report.waiting = sum(len(batch) for batch in self._journal.after(self._walk.seq))
            report.records += report.waiting
        except BrokenTrail as broken:
            report.problem = Problem(broken.code, broken.message, broken.file, broken.segment, broken.seq)
        report.head = f"{self._walk.seq}:{self._walk.chain.hex()}"
        return report

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

    def _missing_beginning(self, file: Path) -> None:
        if self._opener is not None:
            message = f"no retention record explains why the trail begins at {self._report.first_seq}"
            raise self._broken("audit-beginning", message, file, 1)
        self._report.notices.append(f"begins at record {self._report.first_seq}: open the records to see why")

    def _broken(self, code: str, message: str, file: Path, seq: int) -> BrokenTrail:
        return BrokenTrail(code, message, file, self._walk.segment, seq)


def _read_head(text: str) -> tuple[int, str]:
    seq, _, chain = text.partition(":")
    if not seq.isascii() or not seq.isdecimal() or len(chain) != 64:
        raise Rejected("audit-head", "expected <sequence>:<64 hex digits>")
    return int(seq), chain
