"""Fleets of POPs on simulated time, with the real stores, sync rooms and consent routes in one process.

scenario   what happens to a fleet, and how it is said on the command line
virtual/   a fleet in this process, on simulated time
minds/     people who change their mind
report     the figures of a run; plot: its picture
"""
