"""Jurisdiction codes: `EU`, `US-CA`, … and the one that stands for not knowing."""

from consent_core.formats.fields import JURISDICTION

UNKNOWN_JURISDICTION = "ZZ"  # the strictest rules


def is_jurisdiction(text: str) -> bool:
    """Whether `text` has the form of a jurisdiction code. What is not becomes `ZZ`; nothing is decided here."""
    return JURISDICTION.fullmatch(text) is not None
