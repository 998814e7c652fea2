"""One point of presence: its listeners, the pipeline behind them, its stores and its link to the control plane.

`config`, `app` and `process` put it together; `serving` answers requests; `images` makes renditions; `stores` keeps
what a POP knows; `sync` decides what of the control plane's word is in force.
"""
