"""Numbered changes and two credentials a session: what version 0.1.0 recorded, in the words of this one.

A record's words come from its history: a category that is on was granted where its unbroken run began, and every
category that was ever on was decided by the newest version. A rotated session stays rotated; each counts as presented.
Withdrawals that were counted are counted for all their categories.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_CATEGORIES = ("contextual", "behavioral", "experimental")


def upgrade() -> None:
    """Add and fill what is new, drop what is gone."""
    _records()
    _sessions()
    _changes()
    op.execute("UPDATE log_head SET version = 2")


def _records() -> None:
    op.add_column("records", sa.Column("words", sa.Text, nullable=False, server_default="{}"))
    op.add_column("records", sa.Column("notice", sa.Text, nullable=False, server_default="{}"))
    connection = op.get_bind()
    newest = sa.text("UPDATE records SET words = :words WHERE sub = :sub AND ver = :ver")
    found = list(_histories(connection))
    if found:
        connection.execute(newest, found)


def _sessions() -> None:
    op.add_column("sessions", sa.Column("withdraw", sa.String(64)))
    op.add_column("sessions", sa.Column("presented_at", sa.BigInteger))
    op.add_column("sessions", sa.Column("retired", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE sessions SET presented_at = at, retired = (successor IS NOT NULL)")
    op.drop_column("sessions", "successor")
    op.create_index("sessions_by_withdraw", "sessions", ["withdraw"], unique=True)
    op.create_index("ix_sessions_predecessor", "sessions", ["predecessor"])


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("sub", sa.String(22), sa.ForeignKey("visitors.sub", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key", sa.String(64), nullable=False, index=True),
        sa.Column("categories", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("sub", "kind", "key"),
    )
    every = json.dumps(list(_CATEGORIES))
    op.get_bind().execute(
        sa.text(
            "INSERT INTO changes (sub, kind, key, categories, at)"
            " SELECT sub, 'withdrawal', idempotency_key, :every, at FROM withdrawals"
        ),
        {"every": every},
    )
    op.drop_table("withdrawals")


def _histories(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    """The words of each visitor's newest record."""
    rows = connection.execute(sa.text("SELECT sub, ver, basis, choices FROM records ORDER BY sub, ver")).all()
    for sub, versions in groupby(rows, key=lambda row: row.sub):
        history = [(row.ver, row.basis, frozenset(json.loads(row.choices))) for row in versions]
        words = {category: _word(category, history) for category in _CATEGORIES}
        yield {"sub": sub, "ver": history[-1][0], "words": json.dumps(words)}


def _word(category: str, history: list[tuple[int, str, frozenset[str]]]) -> list[Any]:
    """State, number of the last change, version that granted it."""
    newest, basis, chosen = history[-1]
    if category in chosen:
        run = [ver for ver, _, choices in history if category in choices]
        gaps = [ver for ver, _, choices in history if category not in choices]
        since = min(ver for ver in run if not gaps or ver > max(gaps))
        return ["given" if basis == "consent" else "notified", newest, since]
    ever = any(category in choices for _, _, choices in history)
    return ["withdrawn" if ever else "not-given", newest if ever else 0, 0]
