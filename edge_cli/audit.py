"""What `edge audit` does over all trails of a data directory: the POPs' and the control plane's."""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from heapq import merge
from pathlib import Path
from typing import Any

from rich.table import Table

from consent_core.audit.reader import AuditRecord, read_records
from consent_core.audit.rotation import RotationReport, rewrap
from consent_core.audit.verify import VerifyReport, is_trail_of, reported_heads, verify_all
from consent_core.errors import Rejected
from consent_core.formats.revocation import subject_of
from consent_core.trust.providers import KeyProvider
from edge_cli.audit_events import PEOPLE, event_of, is_of
from edge_cli.console import when

CONTROL_PLANE = "control-plane"


def trails(data: Path) -> Path:
    """The folder that holds a trail per writer."""
    return data / "audit" / "edge"


def check_trails(data: Path, provider: KeyProvider | None, elsewhere: Collection[str] = ()) -> list[VerifyReport]:
    """Every trail against itself, and the POPs' against the heads that the control plane was told.

    `elsewhere`: POPs whose trails lie on other machines. A data directory with a control plane has its trail.
    Raises: Rejected("audit-unknown") where there is none: nothing found is no proof of anything.
    """
    if not any(trails(data).glob("*/")):
        raise Rejected("audit-unknown", f"no trails under {trails(data)}; --data names the data directory", status=404)
    heads: dict[str, list[str]] = {CONTROL_PLANE: []} if (data / CONTROL_PLANE).is_dir() else {}
    if provider is not None and (trails(data) / CONTROL_PLANE).is_dir():
        for trail in trails(data).glob(f"{CONTROL_PLANE}*/"):
            if trail.name == CONTROL_PLANE or is_trail_of(trail.name, CONTROL_PLANE):
                for name, told in reported_heads(trail, provider).items():
                    heads.setdefault(name, []).extend(told)
    return verify_all(trails(data), provider, heads, elsewhere)


def read_trail(
    data: Path, writer: str, provider: KeyProvider, sub: str | None = None, event: str = PEOPLE
) -> Iterator[AuditRecord]:
    """One writer's records, opened; a POP's with those of its workers, by time.

    `sub`: only those that name this visitor, by sub or by subject as receipts do; `event`: only of this name.
    Raises: Rejected("audit-unknown").
    """
    directory = trails(data) / writer
    if directory.parent != trails(data) or not directory.is_dir():
        here = ", ".join(sorted(path.name for path in trails(data).glob("*/"))) or "none"
        message = f"no trail of {writer!r} under {trails(data)} (--data names the data directory); here: {here}"
        raise Rejected("audit-unknown", message, status=404)
    workers = sorted(path for path in directory.parent.glob(f"{writer}.w*") if is_trail_of(path.name, writer))
    several = (read_records(path, provider) for path in (directory, *workers))
    for record in merge(*several, key=lambda record: record.at):
        if is_of(record.fields, event) and (sub is None or _is_about(record, sub)):
            yield record


def _is_about(record: AuditRecord, sub: str) -> bool:
    named = None if record.person is None else record.person.get("sub")
    return named is not None and sub in (named, subject_of(str(named)))


def rotate_trails(data: Path, provider: KeyProvider) -> list[RotationReport]:
    """One new wrapping key, and every data key of every trail under it."""
    provider.rotate()
    return [rewrap(directory, provider) for directory in sorted({path.parent for path in trails(data).glob("*/*.log")})]


def summary(reports: list[VerifyReport]) -> dict[str, Any]:
    """As `--json` prints it: `records` in all trails, `ok` if none has a problem."""
    return {
        "ok": all(report.problem is None for report in reports),
        "records": sum(report.records for report in reports),
        "trails": [asdict(report) for report in reports],
    }


def summary_table(reports: list[VerifyReport]) -> Table:
    """The same for a terminal."""
    table = Table(title="Audit trails", title_justify="left")
    for heading in ("trail", "records", "segments", "opened", "verdict"):
        table.add_column(heading, justify="right" if heading in ("records", "segments") else "left")
    for report in reports:
        problem = report.problem
        verdict = "[green]in order[/]" if problem is None else f"[red]{problem.code}[/] {problem.message}"
        told = "\n".join([verdict, *report.notices])
        table.add_row(
            report.directory, str(report.records), str(report.segments), "yes" if report.opened else "no", told
        )
    return table


def records_table(records: list[AuditRecord]) -> Table:
    """Records for a terminal."""
    table = Table(title_justify="left")
    for heading in ("record", "at", "event", "what", "who"):
        table.add_column(heading, overflow="fold")
    for record in records:
        who = "shredded" if record.shredded else "" if record.person is None else _pairs(record.person)
        table.add_row(str(record.seq), when(record.at), event_of(record.fields), _pairs(record.fields), who)
    return table


def _pairs(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items() if value is not None)
