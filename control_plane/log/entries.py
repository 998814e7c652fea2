"""Entries as rows of the `log` table, and back."""

import json
import secrets
from typing import Any

from sqlalchemy import Row

from consent_core.formats.revocation import SALT_BYTES, Entry
from consent_core.formats.token import encode_base64url


def new_salt() -> str:
    """What keeps who holds an entry's neighbours from confirming a guess of it."""
    return encode_base64url(secrets.token_bytes(SALT_BYTES))


def row_of(entry: Entry) -> dict[str, object]:
    """The columns of an entry."""
    return {
        "seq": entry.seq,
        "prev": entry.prev,
        "salt": entry.salt,
        "kind": entry.kind,
        "subject": entry.subject,
        "categories": json.dumps(entry.categories),
        "ver": entry.ver,
        "said": entry.said,
        "at": entry.at,
        "effect": entry.effect,
    }


def entry_of(row: Row[Any]) -> Entry:
    """The entry of a row."""
    values = row._mapping
    return Entry(
        values["seq"],
        values["prev"],
        values["salt"],
        values["kind"],
        values["subject"],
        tuple(json.loads(values["categories"])),
        values["ver"],
        values["said"],
        values["at"],
        values["effect"],
    )
