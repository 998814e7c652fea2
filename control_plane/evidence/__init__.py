"""Evidence about one person, put together from what this control plane holds.

packing.py    the file: proofs, facts, their places in the ledger, the words shown
choosing.py   which facts belong to the question
proving.py    where each leaf lies, and the checkpoints and hashes that show it
"""
