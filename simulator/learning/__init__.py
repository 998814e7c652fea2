"""Learning across simulated places: a shop with known tastes, so that what is learnt can be compared with the best.

shop.py    situations, assets, how often each is clicked; the product's own hashed features
weeks.py   weeks of showings, contributions, noise and learning, by the product's own arithmetic
report.py  several promises side by side, as JSON and two pictures

Real here: features, gradient, clip, grid, noise, budget ledger, aggregation, whole-byte weights. Not played: sandboxes,
HTTP, releases and their rollout, more than one showing a contribution, history, tastes that change.
"""
