"""What every edge decides by: POP, portable edge and device agent, each with its own server and stores.

request      the headers and query fields that an edge reads        credentials   the token that a request presents
grant        what a token is worth here and now                     signals       what a function may see
seams        what deciding needs from its neighbours                slot_json     a decision as a page gets it
contract     the WIT types of the functions, as values

Nothing here opens a socket, a file or a key.
"""
