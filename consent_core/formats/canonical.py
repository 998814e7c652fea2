"""Canonical JSON and digests: what is signed or hashed has exactly one spelling.

    canonical_json({"b": 1, "a": 2}) == b'{"a":2,"b":1}'

Source: RFC 8785 (JSON Canonicalization Scheme).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import rfc8785

from consent_core.errors import Untrusted

JsonValue = None | bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


def canonical_json(value: Any) -> bytes:
    """The one RFC 8785 spelling of a JSON value. Raises: ValueError for what JSON cannot say exactly."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"no canonical JSON: {error}") from error


def sha256_digest(data: bytes) -> str:
    """`sha256:` and 64 lower-case hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read_json_object(data: bytes, limit: int) -> dict[str, Any]:
    """The object in at most `limit` bytes of JSON from a file that is or will be verified.

    Stricter than `json.loads`: UTF-8, no duplicate key, no NaN, an object at the top.
    Raises: Untrusted("json-malformed").
    """
    if len(data) > limit:
        raise Untrusted("json-malformed", f"expected at most {limit} bytes, got {len(data)}")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise Untrusted("json-malformed", "not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise Untrusted("json-malformed", "expected an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Untrusted("json-malformed", "a key appears twice")
    return value


def _not_json(constant: str) -> NoReturn:
    raise Untrusted("json-malformed", f"{constant} is not JSON")
