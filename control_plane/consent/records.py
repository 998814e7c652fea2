"""Versions of a visitor's record. A version is never changed; the newest one is in force."""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from consent_core.formats.subject import subject_of as subject_of
from consent_core.formats.token import CATEGORIES, encode_base64url
from control_plane.consent.changes import NOTHING_SAID, Word, Words, choices_of
from control_plane.store.schema import records, visitors

_JSON = ("choices", "categories", "reasons", "notice")

# Statements are built once: building one costs more than running it.
_BY_SUB = select(visitors).where(visitors.c.sub == bindparam("sub")).with_for_update()
_BY_SUBJECT = select(visitors).where(visitors.c.subject == bindparam("subject")).with_for_update()
_SUB_OF = select(visitors.c.sub).where(visitors.c.subject == bindparam("subject"))
_SEVERAL = (
    select(visitors)
    .where(visitors.c.sub.in_(bindparam("subs", expanding=True)))
    .order_by(visitors.c.sub)
    .with_for_update()
)
_SUBS_OF = select(visitors.c.subject, visitors.c.sub).where(
    visitors.c.subject.in_(bindparam("subjects", expanding=True)), visitors.c.retain_until > bindparam("now")
)
_VERSIONS = select(records).where(records.c.sub == bindparam("sub"))
_NEWEST = _VERSIONS.order_by(records.c.ver.desc()).limit(1)
_ALL = _VERSIONS.order_by(records.c.ver)
_NEWEST_OF = (
    select(records)
    .join(visitors, (visitors.c.sub == records.c.sub) & (visitors.c.ver == records.c.ver))
    .where(records.c.sub.in_(bindparam("subs", expanding=True)))
)
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

    categories: never exceeded by a later token of this version. basis: `notice` until a person says something. gpc:
    the signal of the browser then, or of an earlier request where it was honoured; only a new choice takes it back.
    words: the last word on each category. notice: the text that was shown last, empty if none ever was.
    """

    sub: str
    ver: int
    source: str
    basis: str
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
    words: Words
    notice: Mapping[str, str]

    @property
    def choices(self) -> tuple[str, ...]:
        """The categories whose last word is a yes."""
        return choices_of(self.words)


def new_visitor(retain_until: int) -> Visitor:
    """A fresh identity: 128 random bits that mean nothing. Its first record will be version 1."""
    sub = encode_base64url(secrets.token_bytes(16))
    return Visitor(sub, subject_of(sub), encode_base64url(secrets.token_bytes(16)), 0, retain_until)


def find_visitor(connection: Connection, *, sub: str | None = None, subject: str | None = None) -> Visitor | None:
    """The visitor of that `sub` or `subject`, locked until this transaction ends."""
    query, value = (_BY_SUB, {"sub": sub}) if sub is not None else (_BY_SUBJECT, {"subject": subject})
    row = connection.execute(query, value).one_or_none()
    return None if row is None else Visitor(*row)


def sub_of(connection: Connection, subject: str) -> str | None:
    """Whom the log knows by this subject, without a lock: for who only reads."""
    found: str | None = connection.scalar(_SUB_OF, {"subject": subject})
    return found


def visitor(connection: Connection, sub: str) -> Visitor:
    """A visitor that this transaction has locked already."""
    return Visitor(*connection.execute(_BY_SUB, {"sub": sub}).one())


def lock_visitors(connection: Connection, subs: Collection[str]) -> dict[str, Visitor]:
    """Lock these visitors until this transaction ends, in one order for everybody; those that there are, by `sub`."""
    found = connection.execute(_SEVERAL, {"subs": sorted(subs)}) if subs else ()
    return {row.sub: Visitor(*row) for row in found}


def subs_of(connection: Connection, subjects: Collection[str], now: int) -> dict[str, str]:
    """The visitors whom the log knows by these subjects, by subject, but those whose record ran out."""
    found = connection.execute(_SUBS_OF, {"subjects": list(subjects), "now": now}) if subjects else ()
    return {row.subject: row.sub for row in found}


def newest(connection: Connection, sub: str) -> Record:
    """The version in force."""
    return _record(connection.execute(_NEWEST, {"sub": sub}).one())


def newest_of(connection: Connection, subs: Collection[str]) -> dict[str, Record]:
    """The version in force of each of these visitors, by `sub`."""
    found = connection.execute(_NEWEST_OF, {"subs": list(subs)}) if subs else ()
    return {row.sub: _record(row) for row in found}


def history(connection: Connection, sub: str) -> tuple[Record, ...]:
    """Every version, oldest first."""
    return tuple(_record(row) for row in connection.execute(_ALL, {"sub": sub}))


def store(connection: Connection, versions: Sequence[tuple[Visitor, Record]]) -> None:
    """Add next versions, each with its visitor as before it; the visitor is added with the first."""
    for visitor, record in versions:
        if record.ver <= visitor.ver:
            raise ValueError(f"version {record.ver} does not follow {visitor.ver}")
    new = [{**asdict(visitor), "ver": record.ver} for visitor, record in versions if visitor.ver == 0]
    raised = {
        visitor.sub: {"known": visitor.sub, "ver": record.ver, "retain_until": visitor.retain_until}
        for visitor, record in versions  # the last one of each visitor counts
        if visitor.ver != 0
    }
    added = [_row(record) for _, record in versions]
    for statement, rows in ((_ADD_VISITOR, new), (_RAISE_VERSION, list(raised.values())), (_ADD_RECORD, added)):
        if rows:
            connection.execute(statement, rows)


def _row(record: Record) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)} | {"choices": record.choices}
    words = {category: [word.state, word.at, word.since] for category, word in record.words.items()}
    return {**values, **{name: json.dumps(values[name]) for name in _JSON}, "words": json.dumps(words)}


def _record(row: Row[Any]) -> Record:
    values = dict(row._mapping)
    values.update({name: json.loads(values[name]) for name in _JSON})
    values.update(categories=tuple(values["categories"]), words=_words(values["words"]))
    del values["choices"]  # what the words say, for people who read the table
    return Record(**values)


def _words(text: str) -> Words:
    found = json.loads(text)
    return {c: Word(*found[c]) if c in found else NOTHING_SAID[c] for c in CATEGORIES}
