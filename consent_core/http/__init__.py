"""HTTP as every listener of the project speaks it.

asgi        the types of ASGI; bounded bodies; refusals       answers     complete answers and their security headers
bounded     HTTP/1.1 with bounds on bytes and time            peer        the client certificate of a mesh connection
listeners   several servers in one process                    conditions  what a client holds already, and takes
"""
