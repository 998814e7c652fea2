"""What may be measured, under which labels, and how it leaves the process.

names        the closed list of metrics            counters     plain numbers for hot paths
metrics      all metrics of one process            numbers      the same as values, between processes
prometheus   their text for a scraper              otlp         their data for a collector

No label ever names a visitor.
"""
