"""The control plane's store: one schema, one way to read, one way to write.

schema.py     the tables, and what each is for; those of learning are in learning_schema.py
database.py   SQLite (write-ahead log) by default, PostgreSQL by URL; transactions
migrations/   numbered steps from the tables of earlier builds to these

Trust in this store: a process that can write it can speak for every visitor's consent, and can fork the revocation log
(another `origin` or a lower head makes every POP fail closed, which is seen). It holds no secret of a browser.
"""
