"""The public ledger: commitments in order, signed by us, cosigned by witnesses, served as files.

ledger.py       the room as one thing: opened, ticked, closed
entries.py      what goes in: leaves put in the transaction that causes them
copying.py      from the consent database into the ledger's own
beats.py        what one beat adds: facts, then people, shuffled and padded. Pure
edge.py         the tree's right edge. Pure
schema.py       the tables of the ledger's own database
store.py        every leaf, its place, the signed head; with it:
facts.py        the bodies of facts
checkpoints.py  cosigned checkpoints, kept for good
findings.py     what an operator must look at
writing.py      a transaction of one writer
sequencer.py    one beat after the other; recovery is the normal path
tiles.py        the public files
witnessing.py   asks the witnesses
archive.py      a second place for what is published
s3_archive.py   the same in an S3-compatible bucket
restoring.py    a lost or set-back database, made again from published files
"""
