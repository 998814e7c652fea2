"""The tables of version 0.1.0, written out: later steps begin here, and `schema.py` may say more by then."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None

_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    _log()
    _people()
    _policies()
    _work()


def _log() -> None:
    op.create_table(
        "log_head",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("version", Integer, nullable=False),
        Column("origin", String(22), nullable=False),
        Column("head", BigInteger, nullable=False),
        Column("through", BigInteger, nullable=False),
        Column("policy_hash", String(71)),
    )
    op.create_table(
        "log",
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("kind", String(16), nullable=False),
        Column("subject", String(256), nullable=False),
        Column("categories", Text, nullable=False),
        Column("ver", BigInteger, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("effect", String(16), nullable=False),
    )
    op.create_index("log_by_subject", "log", ["kind", "subject"])
    op.create_index("log_by_age", "log", ["kind", "at"])


def _people() -> None:
    op.create_table(
        "visitors",
        Column("sub", String(22), primary_key=True),
        Column("subject", String(64), nullable=False, unique=True),
        Column("record_id", String(22), nullable=False),
        Column("ver", BigInteger, nullable=False),
        Column("retain_until", BigInteger, nullable=False, index=True),
    )
    _records()
    op.create_table(
        "sessions",
        Column("session", String(64), primary_key=True),
        Column("sub", String(22), _of_visitor(), nullable=False, index=True),
        Column("predecessor", String(64)),
        Column("successor", String(64)),
        Column("at", BigInteger, nullable=False),
    )
    op.create_table(
        "withdrawals",
        Column("idempotency_key", String(64), primary_key=True),
        Column("sub", String(22), _of_visitor(), nullable=False, index=True),
        Column("request", String(71), nullable=False),
        Column("ver", BigInteger, nullable=False),
        Column("at", BigInteger, nullable=False),
    )


def _records() -> None:
    op.create_table(
        "records",
        Column("sub", String(22), _of_visitor(), nullable=False),
        Column("ver", BigInteger, nullable=False),
        Column("source", String(16), nullable=False),
        Column("basis", String(16), nullable=False),
        Column("choices", Text, nullable=False),
        Column("categories", Text, nullable=False),
        Column("reasons", Text, nullable=False),
        Column("jurisdiction", String(8), nullable=False),
        Column("gpc", Boolean, nullable=False),
        Column("gpc_honoured", Boolean, nullable=False),
        Column("age_band", String(16), nullable=False),
        Column("region", String(64), nullable=False),
        Column("policy_hash", String(71), nullable=False),
        Column("revoked", Boolean, nullable=False),
        Column("receipt", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        PrimaryKeyConstraint("sub", "ver"),
    )


def _policies() -> None:
    op.create_table(
        "bundles",
        Column("hash", String(71), primary_key=True),
        Column("revision", BigInteger, nullable=False, unique=True),
        Column("body", LargeBinary, nullable=False),
        Column("etag", String(71), nullable=False),
        Column("at", BigInteger, nullable=False),
    )
    op.create_table(
        "pops",
        Column("pop", String(63), primary_key=True),
        Column("policy_hash", String(71)),
        Column("policy_since", BigInteger, nullable=False),
        Column("revocation_seq", BigInteger, nullable=False),
        Column("releases", Text, nullable=False),
        Column("audit_head", String(256)),
        Column("untrusted", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
    )


def _work() -> None:
    op.create_table(
        "purge_receipts",
        Column("seq", BigInteger, nullable=False),
        Column("pop", String(63), nullable=False),
        Column("subject", String(64), nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("deleted", Text, nullable=False),
        PrimaryKeyConstraint("seq", "pop"),
    )
    op.create_table(
        "queue",
        Column("id", _ROW_NUMBER, primary_key=True, autoincrement=True),
        Column("topic", String(32), nullable=False),
        Column("key", String(200), nullable=False),
        Column("body", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("done_at", BigInteger),
        UniqueConstraint("topic", "key"),
    )
    op.create_index("queue_open", "queue", ["topic", "done_at"])


def _of_visitor() -> ForeignKey:
    return ForeignKey("visitors.sub", ondelete="CASCADE")
