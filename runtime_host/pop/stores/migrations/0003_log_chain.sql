-- The log is a hash chain. `chain`: hash of the entry at `position`. `head_chain`, `shown`: of the highest head that was
-- signed for this POP; `due`, `due_chain`: of a lower one whose entries have not all come. `alarm`: why this POP
-- believes the log no more, until an operator or a succession ends it. `delivered`: the log that has everything that is
-- in `raw`. A place from before the chain has no hash: it is read again.
ALTER TABLE log ADD COLUMN chain TEXT NOT NULL
  DEFAULT 'sha256:0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE log ADD COLUMN head_chain TEXT;
ALTER TABLE log ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log ADD COLUMN due_chain TEXT;
ALTER TABLE log ADD COLUMN shown TEXT;
ALTER TABLE log ADD COLUMN alarm TEXT;
ALTER TABLE log ADD COLUMN alarmed_at INTEGER;
ALTER TABLE log ADD COLUMN delivered TEXT;
UPDATE log SET position = 0;
-- What the control plane signed, byte for byte, so that a restored one learns what its backup lacks.
CREATE TABLE raw (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL);
CREATE INDEX raw_by_age ON raw (at);
