"""What a purge still owes at the control plane, and receipts without a name."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table; the receipts that are kept lose the person, whom their entry names."""
    op.create_table(
        "erasures",
        Column("seq", BigInteger, nullable=False),
        Column("part", String(80), nullable=False),
        Column("deleted", BigInteger, nullable=False),
        Column("counted_at", BigInteger),
        Column("ends_at", BigInteger),
        PrimaryKeyConstraint("seq", "part"),
    )
    op.execute("UPDATE purge_receipts SET subject = ''")
