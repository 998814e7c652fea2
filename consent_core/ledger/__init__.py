"""Reading a published ledger as an outsider does: a trust file, and files from anywhere.

sources.py   where the files come from: a directory or a public listener
s3_source.py an S3-compatible bucket, delete markers looked behind
reading.py   one published checkpoint, and the leaves, tiles and proofs below it
watching.py  what must hold between two looks at the same ledger
"""
