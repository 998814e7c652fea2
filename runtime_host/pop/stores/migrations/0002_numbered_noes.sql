-- A "no" has a number and a credential of its own; one process sends it; its key counts once per visitor.
CREATE TABLE numbered (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, visitor TEXT NOT NULL, withdraw TEXT, session TEXT, subject TEXT,
  number INTEGER, below INTEGER NOT NULL, categories TEXT NOT NULL, at INTEGER NOT NULL, owner TEXT,
  claimed_at INTEGER, state TEXT NOT NULL DEFAULT 'pending', code TEXT, closed_at INTEGER, UNIQUE (visitor, key));
INSERT INTO numbered (id, key, visitor, session, subject, below, categories, at, state, code, closed_at)
  SELECT id, key, COALESCE(subject, session), session, subject, below, categories, at, state, code, closed_at
  FROM outbox;
DROP TABLE outbox;
ALTER TABLE numbered RENAME TO outbox;
CREATE INDEX outbox_open ON outbox (id) WHERE state = 'pending';
-- Tokens that somebody took back with a session that this POP does not know: by SHA-256 of their text.
CREATE TABLE denied_texts (digest TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
