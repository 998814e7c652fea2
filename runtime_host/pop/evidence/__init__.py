"""What this POP says of itself, signed by its own key, so that a stranger can believe it later.

erasing.py      a purge is done once every part was deleted and counted again; only then is there a receipt
key.py          the key, made here and never sent
attesting.py    numbered attestations: what is in force, how far the log is applied, where the trails end
searching.py    statements about a person: what the trails record after a no
deleting.py     statements about a person: what was deleted, part by part
sending.py      the endorsement of the key, and what waits to be sent
seeing.py       the last cosigned checkpoint, taken only with a proof that the ledger grew
task.py         the one task that does all this, beside the POP; assembly.py puts it together

The hot path is not touched: the task looks once a second.
"""
