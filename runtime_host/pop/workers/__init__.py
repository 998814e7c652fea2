"""A POP of several processes behind one public port: a lead, which is a whole POP, and workers that it starts.

    lead      follows the control plane; mesh and admin listeners; sweeps; starts workers again        `supervisor`
    worker    the public listener alone, on the same socket; stores and caches of its own               `worker`

What the next request must see is in shared memory (`stores.shared_state`) and in `pop.db`. Everything else that they
tell each other goes over a socket pair per worker (`channel`), whose end tells each side that the other is gone.
Why so: `docs/decisions/0090-workers-share-a-socket-and-a-shared_state.md`.
"""
