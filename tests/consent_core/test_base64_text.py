"""Bytes have one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Untrusted
from consent_core.formats.base64_text import read_base64, write_base64


def refuse(message):
    return Untrusted("text-malformed", message)


@given(st.binary(max_size=80))
def test_what_was_written_reads_back(data):
    """The round trip holds for every length of padding."""
    assert read_base64(write_base64(data), refuse) == data


@pytest.mark.parametrize(
    "text", ["AB==", "AA=", "AA", "A A=", "AA==\n", "A-==", "Ää==", "=", "AA==AA==", b"AA==", None, 7]
)
def test_any_other_spelling_is_refused(text):
    """Spare bits, missing padding, white space, the URL alphabet, other types."""
    with pytest.raises(Untrusted) as refusal:
        read_base64(text, refuse)
    assert refusal.value.code == "text-malformed"
