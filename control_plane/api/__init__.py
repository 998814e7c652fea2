"""HTTP routes: read the request, call one room, write the answer. No decision is made here.

requests.py      bodies under a size cap, the caller's POP, JSON answers
errors.py        every failure as {"error": {"code", "message"}}
consents.py      /v1/consents
revocations.py   /v1/revocations
policies.py      /v1/policy/bundle, /v1/pops
keys.py          /.well-known/jwks.json, /v1/keys
documents.py     /docs on the public listener
"""
