"""Weeks of learning: rounds, the updates of places byte for byte, and what each place has spent."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, String, Text

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add empty tables: nothing was learnt before."""
    op.create_table(
        "learning_rounds",
        Column("week", String(8), primary_key=True),
        Column("state", String(16), nullable=False),
        Column("base", Text, nullable=False),
        Column("policy", String(71), nullable=False),
        Column("terms", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
    )
    op.create_table(
        "learning_updates",
        Column("digest", String(71), primary_key=True),
        Column("pop", String(63), nullable=False),
        Column("week", String(8), nullable=False),
        Column("verdict", String(16), nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("at", BigInteger, nullable=False),
    )
    op.create_index("learning_updates_by_week", "learning_updates", ["week", "pop"])
    op.create_table(
        "learning_budget",
        Column("pop", String(63), nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("line", Text, nullable=False),
        PrimaryKeyConstraint("pop", "seq"),
    )
