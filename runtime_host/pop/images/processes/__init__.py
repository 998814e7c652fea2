"""Rendering in processes of its own: a decoder that crashes, hangs or grows never takes the POP along.

    pool = RenderProcesses(size=2)                     # nothing runs yet
    body = await pool.render(source, recipe)           # the first miss starts a process
    await pool.close()

pool      how many there are, who is next, what follows a crash, an end for an idle process
process   one of them as the POP sees it: start, ask, end
child     the program that runs in it: a recipe in, bytes out, under a memory limit
frames    how the two talk

Trust: what comes out of a process has met a hostile picture. The POP reads it as a kind, a length and bytes, and as
nothing else; only the POP's own words towards the process are pickled.
"""

from runtime_host.pop.images.processes.pool import Limits, RenderProcesses

__all__ = ["Limits", "RenderProcesses"]
