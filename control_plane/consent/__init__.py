"""What people choose: visitors, their sessions and versioned records, and what is issued for them.

consents.py      grant, refresh, withdraw, look: one transaction each
withdrawing.py   what becomes of a "no"
batch.py         the rows of one request, looked up and written together
sessions.py      whose cookie secret this is, and the rotation at each grant
records.py       versions of a visitor's record
tokens.py        consent tokens (and receipts) signed with PyJWT
receipts.py      what a receipt says
"""
