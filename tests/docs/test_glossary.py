"""The glossary explains each word once, and errors are listed once."""

import re

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("page", "row"), [("glossary.md", r"^\| ([^|`-][^|]*) \|"), ("errors.md", r"^\| `([a-z0-9-]+)` \|")]
)
def test_each_row_stands_once(page, row):
    """Two branches that both add a row do not leave two."""
    found = re.findall(row, (ROOT / "docs" / page).read_text(), re.MULTILINE)

    assert [word for word in set(found) if found.count(word) > 1] == []
