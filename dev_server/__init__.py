"""The loop of somebody who writes a function: save, see the decision and its picture, be told what a sandbox would do.

    new.py          a project folder from the template, with pictures to choose from
    pictures.py     those pictures
    workbench.py    the function in this process, loaded afresh at each save; one request at a time
    building.py     the same sources as a signed component, built in the background
    comparison.py   the same inputs to both, and where they differ
    session.py      what happens at a save, in order
    server.py       the page on 127.0.0.1 and what it asks

No consent and no visitor here: the function's author chooses the signals. `edge up` runs the real thing.
"""
