"""The control plane: consent records, tokens, the revocation log and the policies that POPs follow.

restore_process.py  runs one that only collects what POPs kept, after a backup was put back
process.py          runs one
app.py              `create_app(settings)` puts the rooms together behind two listeners
settings.py         everything a control plane is told at its start
metrics.py          what a scraper on this machine sees
health.py           what can be wrong with it
maintenance.py      deletes what ran out
api/                HTTP routes: read the request, call a room, write the answer
dsar/               requests of persons for their data and its erasure
evidence/           evidence files of one visitor
attesters/          attestations of POPs, checked for gaps and second stories
restore/            backups, and a log that continues after one
revocations/        what an operator revokes
consent/            visitors, sessions, records, tokens, receipts
federated/          rounds of training, their budgets
policies/           bundles, and what each POP reports
log/                the numbered, chained log and its hints
proofs/             what proves a consent after its record is gone, sealed
enrolment/          one-time codes for POPs on other machines
ledger/             the public ledger: leaves put in the causing transaction, beats, cosigned checkpoints
store/              the tables, and transactions over SQLite or PostgreSQL

A room imports rooms below it in this list only (`pyproject.toml`, import-linter).
"""
