"""Metric names and their set-up: what may be measured, under which labels, and how it leaves the process.

`names` is the closed list; `metrics` builds one OpenTelemetry meter per process with a Prometheus page;
`tally` holds the plain numbers that hot paths raise. No label ever names a visitor.
"""
