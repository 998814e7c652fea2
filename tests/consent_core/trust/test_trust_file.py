"""The trust file: one strict form, and nothing else is read."""

import json
from collections.abc import Callable
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
    return store.set_trust(witnesses=(Witness("w1", b"w" * 32),), witness_quorum=1, minimum_epochs={"contextual": 2})


def test_round_trip(trust: TrustFile) -> None:
    """Bytes and back is the same trust."""
    assert TrustFile.from_bytes(trust.to_bytes()) == trust


def _drop_ledger(value: dict[str, Any]) -> None:
    del value["ledger"]


def _add_field(value: dict[str, Any]) -> None:
    value["extra"] = 1


def _next_version(value: dict[str, Any]) -> None:
    value["version"] = 2


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


def _kid_missing(value: dict[str, Any]) -> None:
    del value["keys"]["token"][0]["kid"]


def _negative_time(value: dict[str, Any]) -> None:
    value["keys"]["token"][0]["not_before"] = -1


def _bool_time(value: dict[str, Any]) -> None:
    value["keys"]["token"][0]["not_after"] = True


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
    _keys_list, _imports_text,
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
