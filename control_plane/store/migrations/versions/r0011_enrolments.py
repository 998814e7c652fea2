"""One-time codes of POPs that join."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, String

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the empty table."""
    op.create_table(
        "enrolments",
        Column("id", String(32), primary_key=True),
        Column("pop", String(64), nullable=False),
        Column("key", LargeBinary),
        Column("expires_at", BigInteger, nullable=False),
    )
