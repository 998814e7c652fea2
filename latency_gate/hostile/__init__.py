"""Hostile traffic beside honest: what it costs honest visitors, and whether a POP's memory comes back.

attacks: what a hostile client does, one function each, run by a process of its own. suite: plays each of them beside
honest visitors, and judges.
"""
