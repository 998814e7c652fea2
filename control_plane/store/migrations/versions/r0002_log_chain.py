"""The log becomes a hash chain: each entry names the hash of the one before it and has a salt of its own.

A log of version 0.1.0 gets its salts and its chain here, once. Entries that were pruned before have no hash that
anybody could compute again: each gets 32 random bytes in its place.
"""

import json
import secrets
from collections.abc import Iterator
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, Text, insert, select, update

from consent_core.formats.revocation import GENESIS, SALT_BYTES, Entry, entry_hash
from consent_core.formats.token import encode_base64url

revision = "0002"
down_revision = "0001"

BATCH = 1_000  # rows in memory at once


def upgrade() -> None:
    """Chain every entry that is there."""
    connection = op.get_bind()
    _make_tables()
    tables = MetaData()
    tables.reflect(connection, only=("log", "log_chained", "log_pruned", "log_head"))
    chain = _chain(connection, tables)
    connection.execute(update(tables.tables["log_head"]).values(chain=chain))
    op.drop_table("log")
    op.rename_table("log_chained", "log")
    op.create_index("log_by_subject", "log", ["kind", "subject"])
    op.create_index("log_by_age", "log", ["kind", "at"])


def _make_tables() -> None:
    op.create_table(
        "log_pruned",
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("chain", String(71), nullable=False),
    )
    op.create_table(
        "log_chained",
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("prev", String(71), nullable=False),
        Column("salt", String(22), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("subject", String(256), nullable=False),
        Column("categories", Text, nullable=False),
        Column("ver", BigInteger, nullable=False),
        Column("said", BigInteger, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("effect", String(16), nullable=False),
    )
    op.add_column("log_head", Column("chain", String(71), nullable=False, server_default=GENESIS))


def _chain(connection: Connection, tables: MetaData) -> str:
    """Copy the entries with their links; the hash of the last number that the log gave."""
    head = connection.scalar(select(tables.tables["log_head"].c.head)) or 0
    number, chain = 0, GENESIS
    for row in _rows(connection, tables.tables["log"]):
        chain = _pruned(connection, tables.tables["log_pruned"], number, row["seq"], chain)
        entry = _entry(row, chain)
        values = {**row, "prev": entry.prev, "salt": entry.salt, "said": 0}
        connection.execute(insert(tables.tables["log_chained"]), values)
        number, chain = entry.seq, entry_hash(entry)
    return _pruned(connection, tables.tables["log_pruned"], number, head + 1, chain)


def _pruned(connection: Connection, table: Table, after: int, before: int, chain: str) -> str:
    """The hash of the number below `before`: that of the entry `after`, or a random one where numbers are missing."""
    for number in range(after + 1, before):
        chain = "sha256:" + secrets.token_hex(32)
        connection.execute(insert(table), {"seq": number, "chain": chain})
    return chain


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    last = 0
    while rows := connection.execute(select(table).where(table.c.seq > last).order_by(table.c.seq).limit(BATCH)).all():
        yield from (dict(row._mapping) for row in rows)
        last = rows[-1].seq


def _entry(row: dict[str, Any], prev: str) -> Entry:
    categories = tuple(json.loads(row["categories"]))
    salt = encode_base64url(secrets.token_bytes(SALT_BYTES))
    return Entry(
        row["seq"], prev, salt, row["kind"], row["subject"], categories, row["ver"], 0, row["at"], row["effect"]
    )
