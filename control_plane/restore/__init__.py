"""A control plane restored from a backup: what the backup lacks comes from the POPs, before anything is served.

    with plane.database.write() as connection:
        begin(connection, without=("tokyo-1",), approver="ana", now=now)    # a new origin; POPs are asked
    plane.collecting.take("paris-1", lines)                                 # as they deliver; the last one completes it

backup.py      a consistent copy of the store while it runs, and back
beginning.py   the new origin, and which POPs are waited for
collecting.py  takes deliveries; when the last one is there, the restore is carried out
material.py    what a delivery says, verified
deciding.py    pure: what is true of each visitor now
applying.py    writes it down, and the log goes on under its new name

Procedure: `docs/sync.md`, "Another log".
"""
