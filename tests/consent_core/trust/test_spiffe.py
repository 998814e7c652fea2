"""SPIFFE ids: one legal spelling, and no forgiveness."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected
from consent_core.trust.spiffe import SpiffeId

LONGEST_DOMAIN = "d" * 255


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://ui-tools/edge/tokyo-1",
        "spiffe://ui_tools.example-1/a",
        "spiffe://ui-tools/edge/Tokyo.1_x",
        "spiffe://ui-tools/...",
        f"spiffe://{LONGEST_DOMAIN}/edge/x",
        "spiffe://td/" + "p" * (2048 - len("spiffe://td/")),
    ],
)
def test_legal_ids_round_trip(text: str) -> None:
    """What parses prints as it was."""
    assert str(SpiffeId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "spiffe:///edge/x",
        "spiffe://ui-tools",
        "spiffe://ui-tools/",
        "spiffe://ui-tools//x",
        "spiffe://ui-tools/edge/",
        "spiffe://ui-tools/edge/.",
        "spiffe://ui-tools/../x",
        "spiffe://ui-tools/edge/..",
        "spiffe://ui-tools/edge/%74okyo",
        "spiffe://ui-tools/edge/tokyo?x=1",
        "spiffe://ui-tools/edge/tokyo#x",
        "spiffe://ui-tools:443/edge/x",
        "spiffe://user@ui-tools/edge/x",
        "spiffe://UI-tools/edge/x",
        "SPIFFE://ui-tools/edge/x",
        "https://ui-tools/edge/x",
        "spiffe:/ui-tools/edge/x",
        "ui-tools/edge/x",
        "spiffe://ui-tools/edge/tökyo",
        "spiffe://ui-tööls/edge/x",
        "spiffe://ui-tools/edge/x y",
        "spiffe://ui-tools/edge/x\n",
        "spiffe://ui-tools/edge/x\0",
        "spiffe://ui-tools\\edge/x",
        " spiffe://ui-tools/edge/x",
        "spiffe://[::1]/edge/x",
        f"spiffe://{LONGEST_DOMAIN}d/edge/x",
        "spiffe://td/" + "p" * (2049 - len("spiffe://td/")),
        "spiffe://ui-tools/edge/\ud800",
    ],
)
def test_illegal_ids_are_refused(text: str) -> None:
    """Each departure from the one spelling is refused."""
    with pytest.raises(Rejected) as refusal:
        SpiffeId.parse(text)

    assert refusal.value.code == "spiffe-id"


@given(st.text(max_size=40))
def test_any_path_parses_to_itself_or_is_refused(tail: str) -> None:
    """No input is changed on the way, and no other error escapes."""
    text = f"spiffe://ui-tools/{tail}"

    with contextlib.suppress(Rejected):
        assert str(SpiffeId.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("spiffe://elsewhere/edge/x", "spiffe-foreign-domain"),
        ("spiffe://ui-tools.example/edge/x", "spiffe-foreign-domain"),
        ("spiffe://ui-tools/edge", "spiffe-role"),
        ("spiffe://ui-tools/edge/a/b", "spiffe-role"),
        ("spiffe://ui-tools/root/x", "spiffe-role"),
        ("spiffe://ui-tools/Edge/x", "spiffe-role"),
    ],
)
def test_only_members_with_a_role_and_a_name_belong(text: str, code: str) -> None:
    """A legal id is not yet one of ours."""
    with pytest.raises(Rejected) as refusal:
        SpiffeId.parse(text).member_of("ui-tools")

    assert refusal.value.code == code


@pytest.mark.parametrize(("role", "name"), [("admin", "x"), ("edge", "a/b"), ("Edge", "x")])
def test_an_id_that_is_made_is_of_one_of_our_parts(role: str, name: str) -> None:
    """No name smuggles in a further segment, and no other role is spelled."""
    with pytest.raises(Rejected) as refusal:
        SpiffeId.of("ui-tools", role, name)

    assert refusal.value.code == "spiffe-role"
