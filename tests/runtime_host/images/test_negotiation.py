"""Which format an `Accept` header gets. Wildcards are legacy; a weight of zero is a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_host.pop.images import negotiate

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI_15 = "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        (CHROME, "avif"),
        (FIREFOX, "avif"),
        (SAFARI_15, "webp"),
        (None, "jpeg"),
        ("", "jpeg"),
        ("*/*", "jpeg"),
        ("image/*", "jpeg"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "jpeg"),
        ("image/avif", "avif"),
        ("image/AVIF", "avif"),
        ("image/avif;q=0", "jpeg"),
        ("image/avif;q=0,image/webp", "webp"),
        ("image/avif;q=0.0,image/webp;q=0.000", "jpeg"),
        ("image/avif;q=0,image/webp;q=0,image/*", "jpeg"),
        ("image/avif;q=0.5,image/webp;q=0.9", "webp"),
        ("image/avif;q=0.9,image/webp;q=0.9", "avif"),
        ("image/jpeg,image/avif;q=0.5", "jpeg"),
        ("image/avif;q=0.5,*/*", "jpeg"),
        ("image/avif ; q=0.5 , image/webp ; q = 0.4", "avif"),
        ("image/avif;q=nonsense,image/webp", "webp"),
        ("image/avif;q=9", "jpeg"),
        ("image/avif;q=-1", "jpeg"),
        ("image/avif;q=1e3", "jpeg"),
        ("image/avif;v=2;q=0.7", "avif"),
        ("image/avif-sequence,*/*", "jpeg"),
        ("x-image/avif", "jpeg"),
        ("image/jxl;q=0,image/webp", "webp"),
        ("image/png", "jpeg"),
        ("image/jpeg;q=0", "jpeg"),
        (",,;;q=,", "jpeg"),
        ("image/avif," * 100, "jpeg"),
    ],
)
def test_accept_table(accept: str | None, format: str) -> None:
    """The best format the client named, the smaller one of equals, JPEG when in doubt."""
    assert format == negotiate(accept)


@given(st.text())
def test_any_header_gets_a_format(accept: str) -> None:
    """Nothing a client sends is an error."""
    assert negotiate(accept) in ("avif", "webp", "jpeg")
