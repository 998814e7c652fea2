-- The tables of the first release.
CREATE TABLE history (
  id INTEGER PRIMARY KEY, subject TEXT NOT NULL, ver INTEGER NOT NULL, category TEXT NOT NULL, kind TEXT NOT NULL,
  item TEXT NOT NULL, tags TEXT NOT NULL, day TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX history_by_subject ON history (subject, category, id);
CREATE INDEX history_by_age ON history (category, at);
CREATE TABLE totals (
  day TEXT NOT NULL, kind TEXT NOT NULL, item TEXT NOT NULL, tags TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (day, kind, item, tags)) WITHOUT ROWID;
CREATE TABLE tombstones (subject TEXT PRIMARY KEY, at INTEGER NOT NULL, seq INTEGER) WITHOUT ROWID;
CREATE TABLE sessions (
  session TEXT PRIMARY KEY, subject TEXT NOT NULL, ver INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX sessions_by_subject ON sessions (subject);
CREATE TABLE denials (
  subject TEXT NOT NULL, category TEXT NOT NULL, source TEXT NOT NULL, below INTEGER NOT NULL, until INTEGER,
  PRIMARY KEY (subject, category, source)) WITHOUT ROWID;
CREATE TABLE revoked (kind TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (kind, name))
  WITHOUT ROWID;
CREATE TABLE log (
  id INTEGER PRIMARY KEY CHECK (id = 1), origin TEXT, position INTEGER NOT NULL, head INTEGER NOT NULL,
  at INTEGER NOT NULL);
INSERT INTO log VALUES (1, NULL, 0, 0, 0);
CREATE TABLE policies (hash TEXT PRIMARY KEY, revision INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE demanded (id INTEGER PRIMARY KEY CHECK (id = 1), hash TEXT, seq INTEGER NOT NULL);
INSERT INTO demanded VALUES (1, NULL, 0);
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, session TEXT NOT NULL, subject TEXT, below INTEGER NOT NULL,
  categories TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'pending', code TEXT, closed_at INTEGER);
CREATE TABLE queue (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL,
  done_at INTEGER, UNIQUE (topic, key));
CREATE INDEX queue_open ON queue (topic, id) WHERE done_at IS NULL;
