"""The trust file: one strict form, and nothing else is read."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Unavailable, Untrusted
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import TrustFile, Witness


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> TrustFile:
    store = KeyStore.open(tmp_path_factory.mktemp("data"), create=True)
    return store.set_trust(
        witnesses=(Witness("w1", b"w" * 32),),
        witness_quorum=1,
        minimum_epochs={"contextual": 2},
        revoked={"token-0": 1_800_000_000},
    )


def test_round_trip(trust: TrustFile) -> None:
    """Bytes and back is the same trust."""
    assert TrustFile.from_bytes(trust.to_bytes()) == trust


def test_a_file_of_version_1_is_still_read(trust: TrustFile) -> None:
    """Files that were handed out before stay good; they name no revoked key."""
    value = json.loads(trust.to_bytes())
    del value["revoked"], value["ledger"]["witnesses"][0]["algorithm"]
    old = json.dumps({**value, "version": 1}).encode()

    assert TrustFile.from_bytes(old) == replace(trust, revoked={})


def _drop_ledger(value: dict[str, Any]) -> None:
    del value["ledger"]


def _add_field(value: dict[str, Any]) -> None:
    value["extra"] = 1


def _next_version(value: dict[str, Any]) -> None:
    value["version"] = 3


def _old_version_with_new_members(value: dict[str, Any]) -> None:
    value["version"] = 1


def _revoked_twice(value: dict[str, Any]) -> None:
    value["revoked"] *= 2


def _revoked_without_a_time(value: dict[str, Any]) -> None:
    del value["revoked"][0]["at"]


def _revoked_list_as_a_kid(value: dict[str, Any]) -> None:
    value["revoked"][0]["kid"] = ["token-0"]


def _witness_of_another_algorithm(value: dict[str, Any]) -> None:
    value["ledger"]["witnesses"][0]["algorithm"] = "ml-dsa-44"


def _witness_without_algorithm(value: dict[str, Any]) -> None:
    del value["ledger"]["witnesses"][0]["algorithm"]


def _one_witness_under_two_names(value: dict[str, Any]) -> None:
    witnesses = value["ledger"]["witnesses"]
    witnesses.append({**witnesses[0], "name": "w2"})


def _two_witnesses_of_one_name(value: dict[str, Any]) -> None:
    witnesses = value["ledger"]["witnesses"]
    witnesses.append({**witnesses[0], "key": "A" * 43})


def _foreign_role(value: dict[str, Any]) -> None:
    value["keys"]["root"] = []


def _foreign_algorithm(value: dict[str, Any]) -> None:
    value["keys"]["token"][0]["algorithm"] = "es256"


def _short_key(value: dict[str, Any]) -> None:
    value["keys"]["token"][0]["key"] = "AAAA"


def _bad_base64(value: dict[str, Any]) -> None:
    value["keys"]["token"][0]["key"] += "="


def _key_for_two_roles(value: dict[str, Any]) -> None:
    value["keys"]["token"].append({**value["keys"]["component"][0], "kid": "again"})


def _kid_twice(value: dict[str, Any]) -> None:
    value["keys"]["token"].append(value["keys"]["token"][0])


def _one_kid_for_two_keys(value: dict[str, Any]) -> None:
    value["keys"]["token"].append({**value["keys"]["token"][0], "key": "A" * 43})


def _ledger_with_more(value: dict[str, Any]) -> None:
    value["ledger"]["note"] = "believed by a later version"


def _ledger_without_a_quorum(value: dict[str, Any]) -> None:
    del value["ledger"]["quorum"]


def _ledger_as_a_list(value: dict[str, Any]) -> None:
    value["ledger"] = [value["ledger"]]


def _kid_missing(value: dict[str, Any]) -> None:
    del value["keys"]["token"][0]["kid"]


def _negative_time(value: dict[str, Any]) -> None:
    value["keys"]["token"][0]["not_before"] = -1


def _bool_time(value: dict[str, Any]) -> None:
    value["keys"]["token"][0]["not_after"] = True


def _ends_before_it_begins(value: dict[str, Any]) -> None:
    value["keys"]["token"][0].update(not_before=2, not_after=1)


def _quorum_too_high(value: dict[str, Any]) -> None:
    value["ledger"]["quorum"] = 2


def _epoch_text(value: dict[str, Any]) -> None:
    value["minimum_epochs"]["contextual"] = "2"


def _keys_list(value: dict[str, Any]) -> None:
    value["keys"] = []


def _imports_text(value: dict[str, Any]) -> None:
    value["allowed_imports"]["edge-personalization"] = "wasi:sockets"


DAMAGE = [
    _drop_ledger, _add_field, _next_version, _foreign_role, _foreign_algorithm, _short_key, _bad_base64,
    _key_for_two_roles, _kid_twice, _kid_missing, _negative_time, _bool_time, _quorum_too_high, _epoch_text,
    _keys_list, _imports_text, _old_version_with_new_members, _revoked_twice, _revoked_without_a_time,
    _revoked_list_as_a_kid, _witness_of_another_algorithm, _witness_without_algorithm, _one_witness_under_two_names,
    _two_witnesses_of_one_name, _ends_before_it_begins, _one_kid_for_two_keys,
    _ledger_with_more, _ledger_without_a_quorum, _ledger_as_a_list,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__.strip("_"))
def test_anything_else_is_refused(trust: TrustFile, damage: Callable[[dict[str, Any]], None]) -> None:
    """Each departure from the documented form is refused."""
    value = json.loads(trust.to_bytes())
    damage(value)

    with pytest.raises(Untrusted) as refusal:
        TrustFile.from_bytes(json.dumps(value).encode())

    assert refusal.value.code == "trust-file"


@given(st.binary(max_size=200))
def test_noise_raises_only_our_errors(data: bytes) -> None:
    """Random bytes are untrusted, never a crash."""
    with pytest.raises(Untrusted):
        TrustFile.from_bytes(data)


def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    """Whoever starts without a trust file is told so."""
    with pytest.raises(Unavailable) as refusal:
        TrustFile.load(tmp_path / "trust.json")

    assert refusal.value.code == "trust-file-missing"
