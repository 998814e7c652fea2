"""The control plane: consent records, tokens, the revocation log and the policies that POPs follow.

app.py            `create_app(settings)` puts the rooms together behind two listeners
process.py        runs them
settings.py       everything a control plane is told at its start
metrics.py        what a scraper on this machine sees
maintenance.py    what runs out is deleted
store/            the tables, and transactions over SQLite or PostgreSQL
consent/          visitors, sessions, records, tokens, receipts
revocations/      the numbered log, its answers and its hints
ledger/           the public ledger: leaves put in the causing transaction, beats, cosigned checkpoints
policies/         bundles, and what each POP reports
api/              HTTP routes: read the request, call a room, write the answer
"""
