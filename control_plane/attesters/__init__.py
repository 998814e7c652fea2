"""Who attests, and what they attested: workloads with keys of their own, which this control plane endorses.

facts.py        what is said of workloads, kept with the salt that opens its public leaf
endorsing.py    a workload's key becomes its attester key
listing.py      the numbered public list of who must attest
intake.py       attestations: each place's chain, gaps and forks
statements.py   what places say about a person: one leaf for all that say it together
"""
