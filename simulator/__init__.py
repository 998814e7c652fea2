"""Fleets of POPs: real processes for a few, one process with the real sync code for hundreds.

fleet      a control plane and POPs as processes on this machine: `edge up`, browser tests, the latency gate
stage      what has to exist before anything runs: keys, components, pictures
scenario   what happens to a fleet, and how it is said on the command line
virtual/   a fleet in this process, on simulated time
policies   policies that differ in a few rows
measure    how fast real processes enforce
report     the figures of a run; plot: its picture
"""
