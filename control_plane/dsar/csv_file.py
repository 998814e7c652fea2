"""`privacy-requests.csv`: every request in one line, for who keeps the register of requests. It names nobody.

    RequestList(path, database).write()        # whole and atomic, after each change
    read_import(data)                          # what an operator brings: checked whole, or nothing of it counts

RFC 4180, UTF-8, CRLF; a cell that a spreadsheet would calculate begins with an apostrophe. Wire format:
`docs/formats/privacy-requests.md`.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from consent_core.errors import Rejected
from consent_core.trust.files import PRIVATE, write_atomically
from control_plane.dsar import store
from control_plane.dsar.steps import KINDS
from control_plane.dsar.store import Request
from control_plane.store.database import Database

FILE = "privacy-requests.csv"
COLUMNS = (
    "id",
    "received_at",
    "kind",
    "subject",
    "jurisdiction",
    "due_at",
    "status",
    "completed_at",
    "evidence_sha256",
)
MAX_ROWS = 10_000
MAX_BYTES = 4_194_304
FORMULA = ("=", "+", "-", "@", "\t", "\r")

_PERSON = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[A-Za-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class RequestList:
    """The file of one store."""

    path: Path
    database: Database

    def write(self) -> bytes:
        """Write the file anew; its bytes."""
        with self.database.read() as connection:
            data = write_rows(store.all_of(connection))
        write_atomically(self.path, data, PRIVATE)
        return data


@dataclass(frozen=True, slots=True)
class Imported:
    """One line of an import: what was asked, of whom (as receipts name them), when."""

    id: str
    received_at: int
    kind: str
    subject: str


def write_rows(requests: list[Request]) -> bytes:
    """The file of these requests."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for request in requests:
        values = (request.id, request.received_at, request.kind, request.pseudonym, request.jurisdiction)
        later = (request.due_at, request.state, request.closed_at or "", request.evidence_sha256)
        writer.writerow([_safe(str(value)) for value in (*values, *later)])
    return text.getvalue().encode()


def read_import(data: bytes) -> tuple[Imported, ...]:
    """Every line, or none. Raises: Rejected("csv-…") that names the line."""
    if len(data) > MAX_BYTES:
        raise Rejected("csv-too-large", f"expected at most {MAX_BYTES} bytes")
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise Rejected("csv-encoding", "expected UTF-8") from error
    except csv.Error as error:
        raise Rejected("csv-malformed", f"not CSV: {error}") from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise Rejected("csv-header", f"line 1: expected {','.join(COLUMNS)}")
    if len(rows) - 1 > MAX_ROWS:
        raise Rejected("csv-too-large", f"expected at most {MAX_ROWS} lines")
    return tuple(_lines(rows[1:]))


def _lines(rows: list[list[str]]) -> Iterator[Imported]:
    seen: set[str] = set()
    for number, row in enumerate(rows, 2):
        if len(row) != len(COLUMNS):
            raise Rejected("csv-malformed", f"line {number}: expected {len(COLUMNS)} cells")
        if any(cell.startswith(FORMULA) for cell in row):
            raise Rejected("csv-formula", f"line {number}: a cell that a spreadsheet would calculate")
        value = dict(zip(COLUMNS, row, strict=True))
        _require_row(number, value, seen)
        seen.add(value["id"])
        yield Imported(value["id"], int(value["received_at"]), value["kind"], value["subject"])


def _require_row(number: int, value: dict[str, str], seen: set[str]) -> None:
    if not _ID.fullmatch(value["id"]) or not re.fullmatch(r"[0-9]{1,12}", value["received_at"]):
        raise Rejected("csv-malformed", f"line {number}: expected an id and Unix seconds")
    if value["id"] in seen:
        raise Rejected("csv-duplicate", f"line {number}: that id is there twice")
    if value["kind"] not in KINDS or not _PERSON.fullmatch(value["subject"]) or value["status"]:
        raise Rejected("csv-malformed", f"line {number}: expected a kind, a subject of 64 digits, and no status")


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell
