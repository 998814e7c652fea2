"""What a restore needs: whether the log may be believed, which logs it continues, and what POPs delivered for it."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables; a store as it is serves."""
    op.add_column("log_head", Column("standing", String(16), nullable=False, server_default="serving"))
    op.create_table(
        "log_successions",
        Column("old_origin", String(22), primary_key=True),
        Column("approver", String(128), nullable=False),
        Column("at", BigInteger, nullable=False),
    )
    op.create_table(
        "log_points",
        Column("chain", String(71), primary_key=True),
        Column("seq", BigInteger, nullable=False),
    )
    op.create_table(
        "restore_pops",
        Column("pop", String(63), primary_key=True),
        Column("delivered_at", BigInteger),
    )
    op.create_table(
        "restore_material",
        Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
        Column("digest", String(64), nullable=False, unique=True),
        Column("pop", String(63), nullable=False),
        Column("kind", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
    )
