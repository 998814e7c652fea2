"""Leaves on their way to the ledger."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "ledger_outbox",
        Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
        Column("leaf", LargeBinary, nullable=False),
        Column("body", LargeBinary),
        Column("salt", LargeBinary),
    )
