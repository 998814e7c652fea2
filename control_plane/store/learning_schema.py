"""The tables of federated learning: its weeks, what places sent, what each has spent."""

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from control_plane.store.columns import Number, metadata

# One row per week of learning. `terms`: what the policy of its Monday said of learning; `base`: release of each model.
learning_rounds = Table(
    "learning_rounds",
    metadata,
    Column("week", String(8), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("base", Text, nullable=False),
    Column("policy", String(71), nullable=False),
    Column("terms", Text, nullable=False),
    Column("at", Number, nullable=False),
)

# Updates byte for byte. `verdict`: accepted, or conflict for a second story about one week, which is kept as evidence.
# `key`: the public key of the SVID that signed it, so that it can be verified again.
learning_updates = Table(
    "learning_updates",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("pop", String(63), nullable=False),
    Column("week", String(8), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("at", Number, nullable=False),
    Index("learning_updates_by_week", "week", "pop"),
)

# What each place has spent (docs/formats/budget-ledger.md). Lines are added, never changed.
learning_budget = Table(
    "learning_budget",
    metadata,
    Column("pop", String(63), nullable=False),
    Column("seq", Number, nullable=False),
    Column("line", Text, nullable=False),
    PrimaryKeyConstraint("pop", "seq"),
)
