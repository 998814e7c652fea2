"""Bytes to values and back, and verification. No I/O, no clock, no randomness.

`token` is standard-library only: the same file runs in the POP, the control plane, the device and the guest.
"""
