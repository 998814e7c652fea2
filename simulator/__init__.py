"""Fleets of POPs: real processes for a few, one process with the real sync code for hundreds.

fleet      a control plane and POPs as processes on this machine: `edge up`, browser tests, the latency gate
"""
