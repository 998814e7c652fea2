"""What people ask about their data, and how far each request is."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, LargeBinary, PrimaryKeyConstraint, String, Text

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "requests",
        Column("id", String(32), primary_key=True),
        Column("kind", String(16), nullable=False),
        Column("state", String(16), nullable=False),
        Column("reason", String(32), nullable=False),
        Column("jurisdiction", String(8), nullable=False),
        Column("received_at", BigInteger, nullable=False),
        Column("confirmed_at", BigInteger, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("binding", String(16), nullable=False),
        Column("verified_by", String(16), nullable=False),
        Column("verifier", String(200), nullable=False),
        Column("handle", String(64), nullable=False),
        Column("subject", LargeBinary, nullable=False),
        Column("pseudonym", String(32), nullable=False),
        Column("wish", Text, nullable=False),
        Column("public_key", LargeBinary, nullable=False),
        Column("held_by", String(200), nullable=False),
        Column("trouble", String(64), nullable=False),
        Column("record", LargeBinary),
        Column("closed_at", BigInteger),
        Column("evidence_sha256", String(71), nullable=False),
        Column("amended", Text, nullable=False),
        Index("requests_by_handle", "handle"),
        Index("requests_by_state", "state"),
    )
    op.create_table(
        "request_steps",
        Column("request", String(32), nullable=False),
        Column("step", String(16), nullable=False),
        Column("party", String(160), nullable=False),
        Column("state", String(8), nullable=False),
        Column("result", Text, nullable=False),
        Column("since", BigInteger, nullable=False),
        Column("done_at", BigInteger),
        PrimaryKeyConstraint("request", "step", "party"),
    )
    op.create_table(
        "request_answers",
        Column("request", String(32), nullable=False),
        Column("what", String(160), nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("at", BigInteger, nullable=False),
        PrimaryKeyConstraint("request", "what"),
    )
