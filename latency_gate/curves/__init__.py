"""Cost curves: what one step costs, and what a process holds, as a deployment grows.

    edge bench --suite curves --gate      # docs/capacity.md shows the picture and the figures

points      one point of one curve: `python -m latency_gate.curves.points denials 1000 DIR`
catalogues  the points about slots and pictures
stopwatch   how time and memory are read
suite       all points, each in a process of its own; the judgement: no step grows faster than the size
plot        the picture
"""
