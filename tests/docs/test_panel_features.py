"""docs/panel-features.md: each row that claims something names a test that exists, in the file that it links."""

import re

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "panel-features.md"
LINKED = re.compile(r"\[`([\w.]+)`\]\(\.\./([\w/.]+)\)")
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| |")]


@pytest.mark.parametrize(("name", "path"), LINKED.findall(PAGE.read_text()))
def test_each_linked_test_exists(name, path):
    """A test that was renamed would leave a claim without its proof."""
    file = ROOT / path

    assert file.name == name or f"def {name}(" in file.read_text()


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_shown_by_a_test_or_says_no(row):
    """Five cells each; what is claimed here links what shows it."""
    name, here, shown, *_ = (cell.strip() for cell in row.strip("|").split("|"))

    assert row.count("|") == 6, name
    assert shown.startswith("[`") or (shown == "–" and here.startswith("no")), name
