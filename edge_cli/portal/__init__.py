"""The Trust & Safety portal: people's requests on a page of the operator's own machine.

server.py   who may look: loopback, one link that works once, then a cookie; what a form does
page.py     the page, from what the control plane says

It keeps nothing: each look asks the control plane under the operator's own SVID, and each change goes there with the
operator's name and note.
"""
