"""The revocation log: numbered entries, signed answers, and the hints that wake those who follow it.

log.py       entries under a row lock, replies, pruning
entries.py   an entry as a row, and back
standing.py  whether the log may be believed, and which logs it continues
hints.py     news of a moved head across threads and processes
"""
