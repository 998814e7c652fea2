"""Learning across places: takes in what they measured, week by week, and adds it up. It reaches no POP.

rounds.py        the weeks, as a table of states: open, closed, released or empty
intake.py        one update: who sent it, what is wrong with it, what it spends
judging.py       the checks of a manifest against its round
budget.py        what each place has spent, in the store: refused here a second time
aggregation.py   from accepted updates to weights: whole numbers in any order
log.py           a line for each verdict: logs/fl/<region>/<date>.ndjson
room.py          the room put together

Nothing here reads a visitor's record: rounds, updates and budget hold no pseudonym.
"""
