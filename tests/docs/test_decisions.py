"""Decision pages are numbered once and linked rightly."""

import re

from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs/decisions").glob("*.md"))


def test_each_number_names_one_page():
    """A reference to a number is never a choice between two pages."""
    numbers = [page.name[:4] for page in PAGES]

    assert [number for number in set(numbers) if numbers.count(number) > 1] == []


def test_every_link_to_a_decision_exists():
    """A page that was renumbered shows here."""
    named = {
        match.group(1)
        for place in (ROOT / "docs").rglob("*.md")
        for match in re.finditer(r"(?:decisions/)?(\d{4}-[a-z0-9-]+)\.md", place.read_text())
    }

    assert named <= {page.stem for page in PAGES}
