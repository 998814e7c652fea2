"""What a bundle is refused with."""

import pytest

from consent_core.errors import Untrusted
from consent_core.policy.bundle import open_bundle


def refused(data, trust, min_revision=0, current_hash=None):
    """The code a bundle is refused with."""
    with pytest.raises(Untrusted) as refusal:
        open_bundle(data, trust, min_revision=min_revision, current_hash=current_hash, now=0, revoked=frozenset())
    return refusal.value.code
