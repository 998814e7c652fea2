"""`POST /v1/revocations`: what an operator asks to be revoked, as a value. Wire format: `docs/control-plane.md`."""

import re
from dataclasses import dataclass

from consent_core.errors import Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.consent import MAX_BODY_BYTES, SUBJECT, bad_request
from consent_core.formats.fields import Fields
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES

_PERSON = re.compile(r"[0-9a-f]{64}")


_NAME = re.compile(r"[A-Za-z0-9:._/-]{1,256}")


_MEMBERS = {
    "session": ("sub", "subject", "categories"),
    "purge": ("sub", "subject"),
    "key": ("kid",),
    "model": ("model",),
}


@dataclass(frozen=True, slots=True)
class RevocationRequest:
    """`POST /v1/revocations`. A person is named by `sub`, or by `subject` as receipts and the log do."""

    kind: str
    subject: str
    categories: tuple[str, ...] = ()


def read_revocation_request(data: bytes) -> RevocationRequest:
    """Raises: Rejected("bad-request")."""
    try:
        value = read_json_object(data, MAX_BODY_BYTES)
    except Untrusted as error:
        raise bad_request(error.message) from error
    kind = Fields({"kind": value.get("kind")}, bad_request, ("kind",)).one_of("kind", _MEMBERS)
    fields = Fields(value, bad_request, ("kind",), _MEMBERS[kind])
    if kind in ("key", "model"):
        return RevocationRequest(kind, fields.matching(_named(fields, *_MEMBERS[kind]), _NAME))
    categories = CATEGORIES if kind == "purge" or fields.absent("categories") else fields.categories("categories")
    if not categories:
        raise bad_request("categories: nothing to revoke")
    if _named(fields, "sub", "subject") == "sub":
        return RevocationRequest(kind, subject_of(fields.matching("sub", SUBJECT)), categories)
    return RevocationRequest(kind, fields.matching("subject", _PERSON), categories)


def _named(fields: Fields, *members: str) -> str:
    named = [member for member in members if not fields.absent(member)]
    if len(named) != 1:
        raise bad_request(f"expected one of {', '.join(members)}")
    return named[0]
