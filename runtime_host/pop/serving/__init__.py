"""The listeners of a POP and what happens to a request between them and the stores.

`ingress` reads a request; `pipeline` is the list of stages from credentials to a decision; `delivery` turns a
decision into image bytes or slot JSON; `public`, `mesh` and `admin` are the three listeners' ASGI applications.
The stages: `credentials`, `token_cache`, `effective`, `signals`, `decisions`.
"""
