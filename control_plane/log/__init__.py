"""The revocation log: numbered entries, signed answers, and the hints that wake those who follow it.

log.py     entries under a row lock, replies, pruning
hints.py   news of a moved head across threads and processes
"""
