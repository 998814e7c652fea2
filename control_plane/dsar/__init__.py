"""What people ask about their data: each request a row of steps, done once each, shown while it runs and after it.

steps.py       the table: which steps a kind of request has, and who does each
deadlines.py   by when, and what binds us to it
store.py       requests and their steps, as rows
intake.py      who may ask for what; waiting, cancelling, holding
register.py    who was erased, kept outside the database's backups
machine.py     carries requests on: any line may be the last one before a kill
doing.py       what each step does, and what shows that it is done
closing.py     the file, the end of its proofs, the last word
csv_file.py    privacy-requests.csv
room.py        the room put together
"""
