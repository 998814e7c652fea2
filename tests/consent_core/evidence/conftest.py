"""The whole story, played once."""

import pytest

from .world import World


@pytest.fixture(scope="session")
def played(tmp_path_factory):
    """Yes, no, request and erasure, truthfully told."""
    return World(tmp_path_factory.mktemp("world")).play()
