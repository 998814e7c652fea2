"""Leaves: a commitment opens to one body and tells nothing else; a leaf has one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.canonical import canonical_json
from consent_core.formats.leaf import (
    Leaf,
    commit,
    fact_leaf,
    person_leaf,
    public_commitment,
    read_leaf,
    verify_commitment,
)
from consent_core.formats.token import encode_base64url

SALT = bytes(range(32))
C = commit(b"body", SALT)


def test_leaves_come_back_whole():
    """Both shapes, and a list's number."""
    fact = fact_leaf("attestation", C, by="edge/tokyo-1", life=1, n=812)

    assert read_leaf(person_leaf(C)) == Leaf("person", C)
    assert read_leaf(fact) == Leaf("attestation", C, "edge/tokyo-1", 1, 812)
    assert read_leaf(fact_leaf("attesters", public_commitment(b"list"), n=12)).n == 12
    assert fact.startswith(b'{"by":"edge/tokyo-1","c":"')


@given(st.binary(min_size=32, max_size=32))
def test_a_leaf_about_a_person_is_canonical_json(commitment):
    """The fast writer and the fast reader know the same one spelling as RFC 8785."""
    value = {"c": encode_base64url(commitment), "kind": "person", "v": 1}

    assert person_leaf(commitment) == canonical_json(value)
    assert read_leaf(person_leaf(commitment)) == Leaf("person", commitment)


def test_leaves_about_people_differ_in_nothing_but_randomness():
    """Length and form of a leaf are the same for a receipt, a no, a request and padding."""
    leaves = [person_leaf(commit(body, SALT)) for body in (b"", b"receipt" * 500, b"no")] + [person_leaf(b"\xff" * 32)]

    assert len({len(leaf) for leaf in leaves}) == 1
    assert len({leaf[:6] + leaf[-24:] for leaf in leaves}) == 1


@given(st.binary(max_size=64), st.binary(min_size=32, max_size=32), st.binary(max_size=64))
def test_a_commitment_opens_to_its_body_alone(body, salt, other):
    """Another body, or another salt, does not open it."""
    verify_commitment(commit(body, salt), body, salt)
    for wrong_body, wrong_salt in ((body + b"x", salt), (body, bytes([salt[0] ^ 1]) + salt[1:]), (body, salt[:31])):
        with pytest.raises(Untrusted) as caught:
            verify_commitment(commit(body, salt), wrong_body, wrong_salt)
        assert caught.value.code == "commitment"
    assert (commit(other, salt) == commit(body, salt)) == (other == body)


def test_a_guess_of_the_body_confirms_nothing_without_the_salt():
    """The commitment is keyed: it is no hash of the body that a guess could be held against."""
    assert commit(b"no", SALT) not in {public_commitment(b"no"), commit(b"no", b"\0" * 32)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"kind":"person","v":1}',
        person_leaf(C).replace(b'"v":1', b'"v":2'),
        person_leaf(C).replace(b'"v":1', b'"v":1.0'),
        person_leaf(C).replace(b'"v":1', b'"v":true'),
        person_leaf(C).replace(b",", b", "),
        person_leaf(C).replace(b'"v":1', b'"v":1,"n":1'),
        person_leaf(C).replace(b'"person"', b'"people"'),
        person_leaf(C).replace(b'"person"', b'["person"]'),
        person_leaf(C).replace(b'{"c":"', b'{"c":"A'),
        person_leaf(C) + b"\n",
        person_leaf(C)[:48] + b"_" + person_leaf(C)[49:],  # the last character's unused bits set
        person_leaf(C) + b" " * 400,
        fact_leaf("attestation", C, by="edge/tokyo-1", life=1, n=1).replace(b"tokyo-1", b"TOKYO"),
        fact_leaf("attestation", C, by="edge/tokyo-1", life=1, n=1).replace(b'"life":1,', b""),
        fact_leaf("endorsement", C, by="edge/tokyo-1").replace(b"edge/", b"spiffe://ui-tools/edge/"),
    ],
)
def test_anything_else_is_no_leaf(data):
    """Members, spelling, version and length are exact."""
    with pytest.raises(ConsentEdgeError) as caught:
        read_leaf(data)
    assert caught.value.code in {"leaf-malformed", "json-malformed"}


def test_a_fact_has_the_members_of_its_kind():
    """Our own code cannot write a leaf that our reader refuses."""
    for wrong in ({"by": "edge/tokyo-1"}, {"by": "edge/tokyo-1", "life": 1}, {}):
        with pytest.raises(ValueError, match="attestation"):
            fact_leaf("attestation", C, **wrong)
    with pytest.raises(ValueError, match="policy"):
        fact_leaf("policy", C, n=1)
    with pytest.raises(ValueError, match="32 bytes"):
        person_leaf(C[:31])
    with pytest.raises(ValueError, match="32 bytes"):
        commit(b"body", b"short")
