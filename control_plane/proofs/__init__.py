"""Proof of consent, kept apart from the consent records: bodies and salts of the ledger's leaves, sealed per person.

store.py       keep, find, destroy
retention.py   how long, and that the clause says so

A purge deletes the records; what was proven stays until the person asks for erasure of that too, or until its term.
"""
