"""A witness: sees a ledger's checkpoints, cosigns those that only grew, refuses and keeps the others.

judge.py     one request against what was seen before: cosign, or refuse, and why. Pure
store.py     heads and evidence of forks, on the disk before anything is signed
keys.py      the witness's own key and name
server.py    `POST /add-checkpoint`
process.py   runs it

A witness trusts nothing of the operator but the public key of the ledger. It imports `consent_core` alone, so that who
runs one installs and reads little. Trust in its store: set back, it can make this witness cosign a fork.
`heads.db` is therefore never restored from a backup: a witness that lost it gets another name and another key.
"""
