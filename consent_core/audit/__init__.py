"""The audit trail: one sealed record per request, in files that show tampering and keep no secret of a person.

    frames.py      how records lie in a file, and the hash chain through them (pure)
    segments.py    data keys, wrapped, one per segment; where each segment begins
    visitors.py    one key per visitor, which can be shredded
    journal.py     where a record is, in the kernel, before the answer leaves
    segment_writer.py, recovery.py   seal and chain blocks of records; find the end of the trail after a crash
    writer.py      appends: journal first, segment a moment later
    recording.py   one record per request, for ASGI applications
    reader.py      opens records for an operator
    verify.py      finds the first bad record, a lost tail and a lost beginning
    rotation.py    wraps all data keys anew while the writer runs

Wire format: `docs/formats/audit-log.md`. Trust in the files: none. Who writes them can at most be noticed.
"""
