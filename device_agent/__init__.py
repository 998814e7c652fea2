"""A device: personalises for one person where they are, while a lease lasts, and loses what it holds by itself.

leases.py    the state machine: lease, share and clocks in, one of six states out; pure
store.py     `device.db`: the lease and the clocks it was judged by, models and history sealed under the share
device.py    both put together: what may be decided, and what is deleted before

Nothing here opens a socket. The share is in memory alone: after a restart what is on the disk opens for no process
until a fresh lease brings the share back.
"""
