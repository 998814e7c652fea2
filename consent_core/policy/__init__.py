"""Policy as signed code: what the law of a place makes of a person's choices.

    files, table = what a bundle carries       bundle.py, archive.py, signature.py, approval.py
    answers in microseconds at a POP           table.py
    Rego, in this process or away from it      rego.py (engine.py), examination.py, capabilities.py
    from sources to a signed bundle            sources.py, clauses.py, publish.py, report.py

    bundle = open_bundle(data, trust, now, revoked, min_revision=41)
    bundle.table.lookup("US-CA", True, ("contextual", "behavioral")).categories == ("contextual",)

The rules are in `policies/`, the words people read in `legal/`. A POP never evaluates the consent rules: publishing
evaluates all of their inputs once, and signs the answers with them. Wire format: `docs/formats/policy-bundle.md`.
"""
