"""The proof store: what opens a person's leaves of the public ledger, sealed under their key."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String

revision = "0006"
down_revision = "0005"

_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Add an empty table: what was recorded before has no leaf."""
    op.create_table(
        "proofs",
        Column("id", _ROW_NUMBER, primary_key=True, autoincrement=True),
        Column("leaf_key", String(64), nullable=False, unique=True),
        Column("handle", String(64), nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("at", BigInteger, nullable=False),
    )
    op.create_index("ix_proofs_handle", "proofs", ["handle"])
    op.create_index("ix_proofs_at", "proofs", ["at"])
