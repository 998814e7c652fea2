"""The policy in force, and how far each POP has come.

current.py      put a bundle in force, hand it out, decide by it
publishing.py   from policy sources to a bundle in force
pops.py         what each POP reports: policy, log position, purge receipts
"""
