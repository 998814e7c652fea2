"""Versions of a visitor's record. A version is never changed; the newest one is in force."""

import json
import secrets
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from consent_core.formats.revocation import subject_of
from consent_core.formats.token import encode_base64url
from control_plane.store.schema import records, visitors

_LISTS = ("choices", "categories", "reasons")

# Statements are built once: building one costs more than running it.
_BY_SUB = select(visitors).where(visitors.c.sub == bindparam("sub")).with_for_update()
_BY_SUBJECT = select(visitors).where(visitors.c.subject == bindparam("subject")).with_for_update()
_VERSIONS = select(records).where(records.c.sub == bindparam("sub"))
_NEWEST = _VERSIONS.order_by(records.c.ver.desc()).limit(1)
_ALL = _VERSIONS.order_by(records.c.ver)
_ADD_VISITOR = insert(visitors)
_RAISE_VERSION = (
    update(visitors)
    .where(visitors.c.sub == bindparam("known"))
    .values(ver=bindparam("ver"), retain_until=bindparam("retain_until"))
)
_ADD_RECORD = insert(records)


@dataclass(frozen=True, slots=True)
class Visitor:
    """One identity. `subject` is its name in the revocation log, `record_id` in receipts."""

    sub: str
    subject: str
    record_id: str
    ver: int
    retain_until: int


@dataclass(frozen=True, slots=True)
class Record:
    """One version: what was chosen, what policy made of it then, and how it came about.

    categories: never exceeded by a later token of this version. basis: `consent` or `notice`. gpc: the signal of
    the browser then, or of an earlier request where it was honoured; only a new choice takes it back.
    """

    sub: str
    ver: int
    source: str
    basis: str
    choices: tuple[str, ...]
    categories: tuple[str, ...]
    reasons: dict[str, str]
    jurisdiction: str
    gpc: bool
    gpc_honoured: bool
    age_band: str
    region: str
    policy_hash: str
    revoked: bool
    receipt: str
    at: int


def new_visitor(retain_until: int) -> Visitor:
    """A fresh identity: 128 random bits that mean nothing. Its first record will be version 1."""
    sub = encode_base64url(secrets.token_bytes(16))
    return Visitor(sub, subject_of(sub), encode_base64url(secrets.token_bytes(16)), 0, retain_until)


def find_visitor(connection: Connection, *, sub: str | None = None, subject: str | None = None) -> Visitor | None:
    """The visitor of that `sub` or `subject`, locked until this transaction ends."""
    query, value = (_BY_SUB, {"sub": sub}) if sub is not None else (_BY_SUBJECT, {"subject": subject})
    row = connection.execute(query, value).one_or_none()
    return None if row is None else Visitor(*row)


def newest(connection: Connection, sub: str) -> Record:
    """The version in force."""
    return _record(connection.execute(_NEWEST, {"sub": sub}).one())


def history(connection: Connection, sub: str) -> tuple[Record, ...]:
    """Every version, oldest first."""
    return tuple(_record(row) for row in connection.execute(_ALL, {"sub": sub}))


def store(connection: Connection, visitor: Visitor, record: Record) -> None:
    """Add the next version; the visitor is added with the first."""
    if record.ver != visitor.ver + 1:
        raise ValueError(f"version {record.ver} does not follow {visitor.ver}")
    if visitor.ver == 0:
        connection.execute(_ADD_VISITOR, {**asdict(visitor), "ver": record.ver})
    else:
        values = {"known": visitor.sub, "ver": record.ver, "retain_until": visitor.retain_until}
        connection.execute(_RAISE_VERSION, values)
    connection.execute(_ADD_RECORD, _row(record))


def _row(record: Record) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {**values, **{name: json.dumps(values[name]) for name in _LISTS}}


def _record(row: Row[Any]) -> Record:
    values = dict(row._mapping)
    values.update(
        choices=tuple(json.loads(values["choices"])),
        categories=tuple(json.loads(values["categories"])),
        reasons=json.loads(values["reasons"]),
    )
    return Record(**values)
