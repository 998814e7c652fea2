"""`POST /v1/withdrawals`: many a "no" in one request, one JSON object a line, and an answer for each, in order.

    body = write_rows([WithdrawalRow(key, withdraw, None, subject, 8, ("behavioral",), "tokyo-1", at)])
    for answer in read_answers(reply.content, [key]): ...

Wire format: `docs/formats/withdrawals.md`. A row that is not of the agreed form is an answer too (`RowError`): it
blocks no other. A body as a whole raises `Rejected("bad-request")`; answers that a POP reads raise
`Untrusted("consent-answer")`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consent_core.errors import ConsentEdgeError, Rejected, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.consent import IDEMPOTENCY_KEY, REGION
from consent_core.formats.fields import Fields
from consent_core.formats.session import CREDENTIAL

MAX_ROWS = 256
MAX_ROW_BYTES = 1_024
MAX_BODY_BYTES = MAX_ROWS * MAX_ROW_BYTES
MAX_ANSWER_BYTES = MAX_BODY_BYTES
CONTENT_TYPE = "application/x-ndjson"

HASH = re.compile(r"[0-9a-f]{64}")
CODE = re.compile(r"[a-z0-9-]{1,64}")

_ROW = ("key", "withdraw", "subject", "number", "categories", "pop", "at")


@dataclass(frozen=True, slots=True)
class WithdrawalRow:
    """One "no". `withdraw`: the credential that can only withdraw; None in rows of before there was one, which have
    `session_legacy`. `subject`: whose it is, where the POP's own session store knows. `number`: of the click, None
    where there is none. `categories`: None for all. `at`: Unix seconds at which it was said.
    """

    key: str
    withdraw: str | None
    session_legacy: str | None
    subject: str | None
    number: int | None
    categories: tuple[str, ...] | None
    pop: str
    at: int


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row does not count. `key`: as far as it can be read, else empty."""

    key: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class WithdrawalAnswer:
    """What became of one row: the record's version and what decided each category last; or a `code`."""

    key: str
    ver: int = 0
    numbers: Mapping[str, int] = field(default_factory=dict)
    subject: str | None = None
    code: str | None = None
    message: str = ""


def write_rows(rows: Iterable[WithdrawalRow]) -> bytes:
    """The NDJSON of a request."""
    return b"".join(_line(_row_value(row)) for row in rows)


def read_rows(data: bytes) -> tuple[WithdrawalRow | RowError, ...]:
    """Each row, or what is wrong with it. Raises: Rejected("bad-request") for no rows or too many."""
    lines = data.removesuffix(b"\n").split(b"\n")
    if not data or len(lines) > MAX_ROWS:
        raise Rejected("bad-request", f"expected 1 to {MAX_ROWS} rows")
    return tuple(_row(line) for line in lines)


def write_row(row: WithdrawalRow) -> bytes:
    """One row alone: the body of `DELETE /v1/consents/{sub}`."""
    return _line(_row_value(row))


def read_row(data: bytes) -> WithdrawalRow:
    """One row alone. Raises: Rejected("bad-request")."""
    row = _row(data)
    if isinstance(row, RowError):
        raise _refuse(row.message)
    return row


def write_answers(answers: Iterable[WithdrawalAnswer]) -> bytes:
    """The NDJSON of an answer."""
    return b"".join(_line(_answer_value(answer)) for answer in answers)


def read_answers(data: bytes, keys: Sequence[str]) -> tuple[WithdrawalAnswer, ...]:
    """An answer for each of `keys`, in order. Raises: Untrusted("consent-answer" | "json-malformed")."""
    answers = tuple(_answer(line) for line in data.removesuffix(b"\n").split(b"\n"))
    if [answer.key for answer in answers] != list(keys):
        raise _unreadable("expected one answer for each row, in order")
    return answers


def _row_value(row: WithdrawalRow) -> dict[str, Any]:
    value = {name: getattr(row, name) for name in _ROW}
    return value if row.session_legacy is None else {**value, "session_legacy": row.session_legacy}


def _row(line: bytes) -> WithdrawalRow | RowError:
    try:
        value = read_json_object(line, MAX_ROW_BYTES)
    except Untrusted as error:
        return RowError("", "bad-request", error.message)
    try:
        return _read_row(Fields(value, _refuse, _ROW, ("session_legacy",)))
    except ConsentEdgeError as error:
        key = value.get("key")
        return RowError(
            key if isinstance(key, str) and IDEMPOTENCY_KEY.fullmatch(key) else "", error.code, error.message
        )


def _read_row(fields: Fields) -> WithdrawalRow:
    categories = None if fields.absent("categories") else fields.categories("categories")
    if categories == ():
        raise _refuse("categories: nothing to withdraw; null withdraws all")
    return WithdrawalRow(
        key=fields.matching("key", IDEMPOTENCY_KEY),
        withdraw=None if fields.absent("withdraw") else fields.matching("withdraw", CREDENTIAL),
        session_legacy=None if fields.absent("session_legacy") else fields.matching("session_legacy", HASH),
        subject=None if fields.absent("subject") else fields.matching("subject", HASH),
        number=None if fields.absent("number") else fields.number("number"),
        categories=categories,
        pop=fields.matching("pop", REGION),
        at=fields.number("at"),
    )


def _answer_value(answer: WithdrawalAnswer) -> dict[str, Any]:
    if answer.code is not None:
        return {"key": answer.key, "error": {"code": answer.code, "message": answer.message}}
    return {"key": answer.key, "ver": answer.ver, "numbers": dict(answer.numbers), "subject": answer.subject}


def _answer(line: bytes) -> WithdrawalAnswer:
    value = read_json_object(line, MAX_ROW_BYTES)
    if "error" in value:
        fields = Fields(value, _unreadable, ("key", "error"))
        error = Fields(fields.mapping("error"), _unreadable, ("code", "message"))
        return WithdrawalAnswer(_key(fields), code=error.matching("code", CODE), message=str(value["error"]["message"]))
    fields = Fields(value, _unreadable, ("key", "ver", "numbers", "subject"))
    numbers = fields.mapping("numbers")
    if not all(type(number) is int and number >= 0 for number in numbers.values()):
        raise _unreadable("numbers: expected a number per category")
    subject = None if fields.absent("subject") else fields.matching("subject", HASH)
    return WithdrawalAnswer(_key(fields), fields.number("ver"), numbers, subject)


def _key(fields: Fields) -> str:
    """A row that could not be read is answered under an empty key."""
    return "" if fields.absent("key") else str(fields.matching("key", re.compile(r"|[A-Za-z0-9_-]{16,64}")))


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii") + b"\n"


def _refuse(message: str) -> Rejected:
    return Rejected("bad-request", message)


def _unreadable(message: str) -> Untrusted:
    return Untrusted("consent-answer", message)
