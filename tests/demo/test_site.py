"""The demo shop's own pages."""

import re
from pathlib import Path

SITE = Path(__file__).parents[2] / "demo" / "site"
CANDIDATES = re.compile(r'srcset="([^"]*)"')


def test_a_srcset_counts_the_screens_density_once():
    """The browser counts it when choosing a `w` candidate; the hint on top made pictures 2.6 times as heavy."""
    pages = "".join(page.read_text() for page in SITE.glob("*.html"))
    candidates = [candidate for value in CANDIDATES.findall(pages) for candidate in value.split(", ")]

    assert candidates
    assert [candidate for candidate in candidates if "&amp;dpr=1&amp;" not in candidate] == []
