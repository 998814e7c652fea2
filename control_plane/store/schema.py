"""The tables, but for those of learning (`learning_schema`). Times are Unix seconds; lists and objects are JSON text,
so that both databases hold the same bytes.
"""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from control_plane.store.columns import Number, RowNumber, metadata

VERSION = 2  # as `log_head` says it to programs from before there were steps: they refuse any but 1

# One row: the log's name (`origin`), its last number (`head`, the lock that makes numbers gapless) and that entry's
# hash (`chain`), how far it is pruned (`through`), the policy hash in force, and whether the log may be believed
# (`standing`: serving, rewound, collecting).
log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("origin", String(22), nullable=False),
    Column("head", Number, nullable=False),
    Column("through", Number, nullable=False),
    Column("policy_hash", String(71)),
    Column("chain", String(71), nullable=False),
    Column("standing", String(16), nullable=False),
)

log = Table(
    "log",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("prev", String(71), nullable=False),
    Column("salt", String(22), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("categories", Text, nullable=False),
    Column("ver", Number, nullable=False),
    Column("said", Number, nullable=False),
    Column("at", Number, nullable=False),
    Column("effect", String(16), nullable=False),
    Index("log_by_subject", "kind", "subject"),
    Index("log_by_age", "kind", "at"),
)

# What is left of a pruned entry: its hash, to know a POP's place by. Its salt is gone, so the hash confirms nothing.
log_pruned = Table(
    "log_pruned",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("chain", String(71), nullable=False),
)

# Logs that this one continues, with who approved it.
log_successions = Table(
    "log_successions",
    metadata,
    Column("old_origin", String(22), primary_key=True),
    Column("approver", String(128), nullable=False),
    Column("at", Number, nullable=False),
)

# Entries of those logs that were taken over under another number: who stands at one reads this log from its start.
log_points = Table(
    "log_points",
    metadata,
    Column("chain", String(71), primary_key=True),
    Column("seq", Number, nullable=False),
)

# During a restore: which POPs it waits for, and what they delivered, byte for byte.
restore_pops = Table(
    "restore_pops",
    metadata,
    Column("pop", String(63), primary_key=True),
    Column("delivered_at", Number),
)

restore_material = Table(
    "restore_material",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("pop", String(63), nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# A visitor is here as long as its identity lives. `ver` names the newest record.
visitors = Table(
    "visitors",
    metadata,
    Column("sub", String(22), primary_key=True),
    Column("subject", String(64), nullable=False, unique=True),
    Column("record_id", String(22), nullable=False),
    Column("ver", Number, nullable=False),
    Column("retain_until", Number, nullable=False, index=True),
)

# One row per version, never changed. `basis`: consent, or notice while a person has said nothing. `words`: for each
# category its state, the number that decided it last and the version that granted it; `{}` in rows of version 0.1.0
# that are not in force. `notice`: the text that was shown last.
records = Table(
    "records",
    metadata,
    Column("sub", String(22), ForeignKey("visitors.sub", ondelete="CASCADE"), nullable=False),
    Column("ver", Number, nullable=False),
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
    Column("at", Number, nullable=False),
    Column("words", Text, nullable=False, server_default="{}"),
    Column("notice", Text, nullable=False, server_default="{}"),
    PrimaryKeyConstraint("sub", "ver"),
)

# `session`, `withdraw`: SHA-256 of a session's two credentials. A row without `withdraw` is of version 0.1.0: its
# `session` is SHA-256 of the secret's text. `presented_at`: when a browser first showed that it has the secret.
sessions = Table(
    "sessions",
    metadata,
    Column("session", String(64), primary_key=True),
    Column("sub", String(22), ForeignKey("visitors.sub", ondelete="CASCADE"), nullable=False, index=True),
    Column("predecessor", String(64), index=True),
    Column("at", Number, nullable=False),
    Column("withdraw", String(64)),
    Column("presented_at", Number),
    Column("retired", Boolean, nullable=False, server_default=false()),
    Index("sessions_by_withdraw", "withdraw", unique=True),
)

# Which clicks were counted, so that a copy counts once. `categories`: those that a "no" of this key has taken.
changes = Table(
    "changes",
    metadata,
    Column("sub", String(22), ForeignKey("visitors.sub", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("key", String(64), nullable=False, index=True),
    Column("categories", Text, nullable=False),
    Column("at", Number, nullable=False),
    PrimaryKeyConstraint("sub", "kind", "key"),
)

bundles = Table(
    "bundles",
    metadata,
    Column("hash", String(71), primary_key=True),
    Column("revision", Number, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("etag", String(71), nullable=False),
    Column("at", Number, nullable=False),
)

# The newest report of each POP. `policy_since`: when it first reported that hash.
pops = Table(
    "pops",
    metadata,
    Column("pop", String(63), primary_key=True),
    Column("policy_hash", String(71)),
    Column("policy_since", Number, nullable=False),
    Column("revocation_seq", Number, nullable=False),
    Column("releases", Text, nullable=False),
    Column("audit_head", String(256)),
    Column("untrusted", Text, nullable=False),
    Column("outbox_oldest_s", Number, nullable=False, server_default="0"),
    Column("at", Number, nullable=False),
)

purge_receipts = Table(
    "purge_receipts",
    metadata,
    Column("seq", Number, nullable=False),
    Column("pop", String(63), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("at", Number, nullable=False),
    Column("deleted", Text, nullable=False),
    PrimaryKeyConstraint("seq", "pop"),
)

# What a purge owes here, by part: how much was deleted, when it was counted empty, or when it goes by itself.
erasures = Table(
    "erasures",
    metadata,
    Column("seq", Number, nullable=False),
    Column("part", String(80), nullable=False),
    Column("deleted", Number, nullable=False),
    Column("counted_at", Number),
    Column("ends_at", Number),
    PrimaryKeyConstraint("seq", "part"),
)

# Durable work for other rooms; `key` makes putting twice count once.
queue = Table(
    "queue",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("topic", String(32), nullable=False),
    Column("key", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Number, nullable=False),
    Column("done_at", Number),
    UniqueConstraint("topic", "key"),
    Index("queue_open", "topic", "done_at"),
)

# Leaves on their way to the ledger's own database, put in the transaction that causes them. `body` and `salt`: of
# facts about workloads alone. The newest row stays, so that its number shows a store that was set back.
ledger_outbox = Table(
    "ledger_outbox",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("leaf", LargeBinary, nullable=False),
    Column("body", LargeBinary),
    Column("salt", LargeBinary),
)

# What opens a person's leaves of the public ledger, sealed under their key of the month (control_plane/proofs).
# No foreign key: a proof outlives the record that it is about.
proofs = Table(
    "proofs",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("leaf_key", String(64), nullable=False, unique=True),
    Column("handle", String(64), nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("at", Number, nullable=False, index=True),
)

# What is said of workloads, with the salt that opens its leaf: endorsements, attestations, lists (attesters/facts.py).
facts = Table(
    "facts",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(256), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("place", String(160)),
    Column("life", Number),
    Column("n", Number),
    Column("at", Number, nullable=False),
    UniqueConstraint("kind", "name"),
    Index("facts_by_place", "kind", "place", "life", "n"),
)

# Keys of workloads that attest. `refused`: why nothing more is taken from one, "" if it is good.
attesters = Table(
    "attesters",
    metadata,
    Column("kid", String(32), primary_key=True),
    Column("place", String(160), nullable=False, index=True),
    Column("key", LargeBinary, nullable=False),
    Column("not_before", Number, nullable=False),
    Column("not_after", Number, nullable=False),
    Column("refused", String(32), nullable=False),
    Column("at", Number, nullable=False),
)

# One-time codes of POPs that join. `key`: as secret as the code; NULL once it was used.
enrolments = Table(
    "enrolments",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("pop", String(64), nullable=False),
    Column("key", LargeBinary),
    Column("expires_at", Number, nullable=False),
)

# Second stories: attestations that contradict one that was taken. Kept as evidence.
forks = Table(
    "forks",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("name", String(256), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("jws", Text, nullable=False),
    Column("at", Number, nullable=False),
)

# Statements about a person on their way into one leaf, sealed under the person's key; then the digest alone.
statements = Table(
    "statements",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("batch", String(128), nullable=False, index=True),
    Column("digest", String(71), nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("at", Number, nullable=False),
)

# What people ask about their data. `subject`: their name in the log, sealed under their own key, so that it is gone
# when the proofs are; `handle` finds their other requests as it finds their proofs. `pseudonym`: what the CSV says.
# `public_key`: what answers are sealed to. `held_by`: who forbids to go on. `record`: as it was put into the ledger.
requests = Table(
    "requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("jurisdiction", String(8), nullable=False),
    Column("received_at", Number, nullable=False),
    Column("confirmed_at", Number, nullable=False),
    Column("due_at", Number, nullable=False),
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
    Column("closed_at", Number),
    Column("evidence_sha256", String(71), nullable=False),
    Column("amended", Text, nullable=False),
    Index("requests_by_handle", "handle"),
    Index("requests_by_state", "state"),
)

# One row per request, step and party; `done` only with a result that is evidence.
request_steps = Table(
    "request_steps",
    metadata,
    Column("request", String(32), nullable=False),
    Column("step", String(16), nullable=False),
    Column("party", String(160), nullable=False),
    Column("state", String(8), nullable=False),
    Column("result", Text, nullable=False),
    Column("since", Number, nullable=False),
    Column("done_at", Number),
    PrimaryKeyConstraint("request", "step", "party"),
)

# What only the asker opens: the pack, the closing statement, each holder's part of an answer.
request_answers = Table(
    "request_answers",
    metadata,
    Column("request", String(32), nullable=False),
    Column("what", String(160), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("at", Number, nullable=False),
    PrimaryKeyConstraint("request", "what"),
)
