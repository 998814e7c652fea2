"""One request from JSON: the value or the code, and what it took."""

import json
from typing import Any

import pytest

from consent_core.errors import Rejected
from consent_core.formats.token import encode_base64url
from runtime_host.wasm.debug import invoke
from runtime_host.wasm.exports import VALIDATE
from runtime_host.wasm.native import NativeFunction
from runtime_host.wasm.sandbox import SandboxPool
from tests.runtime_host.wasm import guests
from tests.runtime_host.wasm.guests import ROOT, compiled

REQUEST: dict[str, Any] = {
    "slot": "home-hero",
    "signals": {
        "page": {"path": "/", "section": "home", "tags": ["snow"], "language": "en"},
        "history": [{"kind": "click", "item": "boot", "tags": ["snow"], "days_ago": 1}],
        "experiment": {"experiment": "colour", "arm": "a"},
    },
    "candidates": [{"asset": "summit", "tags": ["alpine"], "copies": ["Higher."]}],
    "entropy": 3,
}


def test_a_decision_is_shown_with_what_it_took() -> None:
    """The answer is plain JSON."""
    with SandboxPool(compiled(guests.counting())) as pool:
        shown = json.loads(json.dumps(invoke(pool, REQUEST).to_json()))

    assert shown["value"]["asset"] == "summit"
    assert shown["value"]["adjustment"] == {"brightness": 3, "saturation": 0, "warmth": 0}
    assert shown["code"] is None
    assert shown["prepare_ms"] > 0
    assert shown["call_ms"] > 0


def test_a_failure_is_shown_by_its_code() -> None:
    """A guest that fails while it is made ahead shows there; the request is not run."""
    with SandboxPool(compiled(guests.deciding("unreachable", pages=20_000))) as pool:
        shown = invoke(pool, REQUEST)

    assert (shown.value, shown.code, shown.call_ms) == (None, "sandbox-memory", 0.0)


def test_a_token_is_validated_from_json() -> None:
    """Keys travel as base64url."""
    text, keys, expected = VALIDATE.public[0]
    request = {
        "token": text,
        "keys": [{"kid": key.kid, "algorithm": key.algorithm, "key": encode_base64url(key.key)} for key in keys],
        "expected": expected._asdict(),
    }
    native = NativeFunction(ROOT / "functions" / "consent_validation")

    assert (invoke(native, request).value or {})["sub"] == "A" * 22
    expired = {**request, "expected": {**expected._asdict(), "now": 1_800_000_000}}
    assert invoke(native, expired).code == "token-expired"


@pytest.mark.parametrize(
    "request_json",
    [
        {},
        {**REQUEST, "signals": None},
        {**REQUEST, "entropy": "many"},
        {**REQUEST, "candidates": [{"asset": "summit"}]},
        {**REQUEST, "candidates": [{**REQUEST["candidates"][0], "price": 1}]},
        {**REQUEST, "signals": {"page": {"path": "/"}}},
    ],
    ids=range(6),
)
def test_json_that_is_no_request_is_refused(request_json: dict[str, Any]) -> None:
    """The message says what is missing or too much."""
    with SandboxPool(compiled(guests.counting())) as pool, pytest.raises(Rejected) as refusal:
        invoke(pool, request_json)

    assert refusal.value.code == "invoke-request"
