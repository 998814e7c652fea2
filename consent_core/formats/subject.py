"""The revocation log's name for a visitor."""

import hashlib

_DOMAIN = b"consent-edge/revocation/v1"


def subject_of(sub: str) -> str:
    """The log's name for a visitor, 64 hex digits: a reader of the log alone learns no `sub`."""
    return hashlib.sha256(_DOMAIN + sub.encode("ascii")).hexdigest()
