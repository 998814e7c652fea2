"""Conditions and encodings as browsers, proxies and attackers write them."""

import pytest

from consent_core.http.answers import Answer, compressed
from consent_core.http.conditions import MAX_CONDITION_BYTES, holds, takes_gzip

ETAG = '"a1b2"'


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        (None, False),
        (b"", False),
        (b'"a1b2"', True),
        (b'W/"a1b2"', True),
        (b'"x", W/"a1b2" , "y"', True),
        (b"*", True),
        (b"a1b2", False),
        (b'"A1B2"', False),
        (b'w/"a1b2"', False),
        (b'W/ "a1b2"', False),
        (b'"a1b', False),
        (b"\xff\xfe", False),
        (b'"x", ' * 800 + b'"a1b2"', True),
        (b'"x", ' * 900 + b'"a1b2"', False),
        (b'"a1b2"' + b" " * MAX_CONDITION_BYTES, False),
        (b"*," + b"a" * 2_000_000, False),
    ],
)
def test_a_condition_is_read_up_to_a_bound(condition, held):
    """A weak tag matches, a long list is ignored: the client gets the whole answer."""
    assert holds(condition, ETAG) is held


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        (b"", False),
        (b"gzip", True),
        (b"GZIP", True),
        (b"x-gzip", True),
        (b"gzip, deflate, br, zstd", True),
        (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000", False),
        (b"gzip; q=0, br", False),
        (b"gzip ; Q = 0", False),
        (b"br, gzip;q=0", False),
        (b"gzip;q=0.001", True),
        (b"gzip;q=-1", False),
        (b"gzip;q=nan", False),
        (b"gzip;q=inf", False),
        (b"gzip;q=no", False),
        (b"gzip;level=1", True),
        (b"notgzip", False),
        (b"gzip2", False),
        (b"*", False),
        (b"identity", False),
        (b"gzip" + b"," * 2_000_000, False),
    ],
)
def test_gzip_is_sent_to_whoever_takes_it(accepted, taken):
    """`q=0` refuses it, and a longer word is another word."""
    answer = compressed(Answer(200, [(b"content-length", b"9000")], b"a" * 9_000), accepted)

    assert takes_gzip(accepted) is taken
    assert ((b"content-encoding", b"gzip") in answer.headers) is taken
