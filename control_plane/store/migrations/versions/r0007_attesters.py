"""Who attests, and what they attested: facts with their salts, keys, forks, statements on their way."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text, UniqueConstraint

revision = "0007"
down_revision = "0006"

_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Add empty tables: no place attested before."""
    _facts()
    op.create_table(
        "attesters",
        Column("kid", String(32), primary_key=True),
        Column("place", String(160), nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("not_before", BigInteger, nullable=False),
        Column("not_after", BigInteger, nullable=False),
        Column("refused", String(32), nullable=False),
        Column("at", BigInteger, nullable=False),
    )
    op.create_index("ix_attesters_place", "attesters", ["place"])
    op.create_table(
        "forks",
        Column("id", _ROW_NUMBER, primary_key=True, autoincrement=True),
        Column("name", String(256), nullable=False),
        Column("digest", String(71), nullable=False),
        Column("jws", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
    )
    op.create_table(
        "statements",
        Column("id", _ROW_NUMBER, primary_key=True, autoincrement=True),
        Column("batch", String(128), nullable=False),
        Column("digest", String(71), nullable=False, unique=True),
        Column("sealed", LargeBinary, nullable=False),
        Column("at", BigInteger, nullable=False),
    )
    op.create_index("ix_statements_batch", "statements", ["batch"])


def _facts() -> None:
    op.create_table(
        "facts",
        Column("id", _ROW_NUMBER, primary_key=True, autoincrement=True),
        Column("kind", String(16), nullable=False),
        Column("name", String(256), nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("salt", LargeBinary, nullable=False),
        Column("place", String(160)),
        Column("life", BigInteger),
        Column("n", BigInteger),
        Column("at", BigInteger, nullable=False),
        UniqueConstraint("kind", "name"),
    )
    op.create_index("facts_by_place", "facts", ["kind", "place", "life", "n"])
