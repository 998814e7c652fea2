-- What an erased visitor still leaves at this POP: a row per part, which goes once the receipt was delivered.
CREATE TABLE erasures (
  seq INTEGER NOT NULL, subject TEXT NOT NULL, part TEXT NOT NULL, deleted INTEGER NOT NULL, counted_at INTEGER,
  ends_at INTEGER, PRIMARY KEY (seq, part)) WITHOUT ROWID;
-- Visitors erased by an earlier version: nothing about them waits in the queue but a receipt that is still owed.
DELETE FROM queue WHERE topic = 'purge-receipt' AND done_at IS NOT NULL;
DELETE FROM queue WHERE topic = 'retrain' AND json_extract(body, '$.subject') IN (SELECT subject FROM tombstones);
