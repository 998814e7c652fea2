"""One POP against a toy control plane, importable for the tests beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime_host.sync.toy_plane import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.store.close()
