"""Who may say what: signing keys by role, the trust file, SPIFFE identities and TLS between the parts.

keys.py         private signing keys by role, and their rotation
trust_file.py   the one public file a verifier needs
signatures.py   ed25519 and es256 checks
files.py        files that are either the old or the new one
"""
