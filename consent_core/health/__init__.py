"""Whether a process is well, for probes, scrapers and logs.

reasons: every reason, of two kinds, with what to do about it. watching: which of them hold now; the log says once when
one begins and when it ends. disk, certificates: looks that any process has use for.
"""
