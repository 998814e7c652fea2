"""Signed model releases: baked into a template byte for byte, numbered, never going back.

baking.py     from weights to the two files of a component, and again offline
learning.py   from what places measured to the next release
releases.py   a directory of releases: publish, list, roll forward to older weights

A release is a component's folder with three files more, so that each loader of components loads it:
`<model>.wasm`, `<model>.cwasm`, `manifest.json`, `manifest.sig`, `weights.bin`, `master.bin`, `release.dsse`.
"""
