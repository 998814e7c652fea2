"""The tables of the ledger's own database. No row names a person: leaves about people are commitments."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

VERSION = 1
metadata = MetaData()

_Number = BigInteger()
_RowNumber = BigInteger().with_variant(Integer(), "sqlite")
_WAITING = text("idx IS NULL")

# One row per leaf, never deleted: a leaf that is put again after it got its place must be found.
# `key`: its commitment. `rank`: of its kind within a beat. `idx`: its place in the ledger; null while it waits.
entries = Table(
    "entries",
    metadata,
    Column("id", _RowNumber, primary_key=True, autoincrement=True),
    Column("key", LargeBinary, nullable=False, unique=True),
    Column("leaf", LargeBinary, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("at", _Number, nullable=False),
    Column("idx", _Number, unique=True),
    Index("entries_waiting", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
)

# One row: the committed tree. Every change says WHERE size and root are those it began from.
head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("size", _Number, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("outbox", _Number, nullable=False),
)

# What facts (never people) committed to. `salt` is null where the body is public: lists of attesters.
bodies = Table(
    "bodies",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("n", _Number),
    Column("body", LargeBinary, nullable=False),
    Column("salt", LargeBinary),
    Index("bodies_by_number", "kind", "n"),
)

# How full the beats of a day were, from which the next day's size follows. `day`: Unix seconds by 86,400.
days = Table(
    "days",
    metadata,
    Column("day", _Number, primary_key=True, autoincrement=False),
    Column("beats", _Number, nullable=False),
    Column("people", _Number, nullable=False),
    Column("squares", _Number, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("id", _RowNumber, primary_key=True, autoincrement=True),
    Column("code", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", _Number, nullable=False),
)

# Every cosigned checkpoint that was published: evidence shows the first one that held a leaf. About 600 bytes each.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", _Number, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),
)
