"""How long the oldest "no" has waited at each POP, as its reports say."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Every POP of before has none waiting, until it reports."""
    op.add_column("pops", Column("outbox_oldest_s", BigInteger, nullable=False, server_default="0"))
