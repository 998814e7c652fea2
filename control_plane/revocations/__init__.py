"""What must stop: the numbered log that every POP polls.

log.py        entries, in the transaction that causes them; answers and snapshots
hints.py      wakes pollers and streams the moment an entry is committed
revoking.py   what an operator revokes: consent, a visitor, a key, a model
"""
