"""What both sides share: formats, privacy, policy, trust, audit and telemetry, a room each.

`consent_core` imports nothing else of this project. `formats` is pure: bytes to values and back,
and verification; no I/O, no clock, no randomness.
"""
