"""People who change their mind: browsers that move between POPs, bursts, cuts, and a control plane that is restored.

plane     the real control plane, which can lose its store and be restored from a backup and its POPs
truth     the person's own word, and what is counted against it
faults    ways to break the rules, each of which must turn a counter red
world     plays it on simulated time, through the POPs' real consent routes

The browsers are `fleet.simulated_browser`: numbered clicks, `consent-no`, one change at a time.
"""
