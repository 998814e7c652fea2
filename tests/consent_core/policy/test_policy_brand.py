"""Brand and placement, as code outside of Rego asks them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

WHITE = "#ffffff"
colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


@pytest.fixture(scope="module")
def limit(published):
    return published.bundle.settings["brand"]["contrast"]


def luminance(colour):
    """WCAG 2.2, relative luminance, exactly."""
    levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other):
    """WCAG 2.2, contrast ratio, exactly."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@example(text="#000001", background="#007bbd")
@given(text=colours, background=colours)
def test_contrast_agrees_with_wcag(limit, rego, text, background):
    """The curve in Rego gives the exact verdict; only within a thousandth of the limit may rounding decide."""
    exact = contrast(text, background)
    verdict = rego.evaluate("consent_edge.brand.allow", {"overlay": {"text": text, "background": background}})

    assert verdict is (exact >= limit) or abs(exact - limit) < 0.001


def test_a_violation_says_what_is_wrong(rego):
    """Rule and message, for people and for machines."""
    slot = {"copy": "Hurry, boots", "adjustment": {"warmth": 99}, "overlay": {"text": WHITE, "background": WHITE}}

    assert sorted((v["rule"], v["message"]) for v in rego.evaluate("consent_edge.brand.violations", slot)) == [
        ("brand-adjustment", "warmth is not between -30 and 30"),
        ("brand-contrast", "text and background contrast less than 4.5 to 1"),
        ("brand-word", "the copy says hurry"),
    ]


def test_a_refused_place_says_why(rego):
    """Allowed and reasons never disagree."""
    key = {"kind": "signing-key", "place": "device"}

    assert rego.evaluate("consent_edge.placement.allow", key) is False
    assert [r["rule"] for r in rego.evaluate("consent_edge.placement.reasons", key)] == ["placement-kind"]
    assert rego.evaluate("consent_edge.placement.allow", {"kind": "trust-file", "place": "device"}) is True
    assert rego.evaluate("consent_edge.placement.reasons", {"kind": "trust-file", "place": "device"}) == []
