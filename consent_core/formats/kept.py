"""What a POP kept and delivers to a control plane that was restored from a backup: one JSON object a line.

    body = write_kept([Kept("answer", raw), Kept("grant", proof), Kept("withdrawal", row), Kept("end", b"")])
    for line in read_kept(body): ...

Wire format: `docs/formats/kept.md`. `answer`: a signed answer or snapshot of the log, as it came. `grant`: a signed
grant receipt. `withdrawal`: one row of `formats.withdrawals`. `bundle`: the signed policy in force at the POP. `end`:
this was all. What of it is signed is verified by who reads it; a withdrawal is believed because the POP vouches for it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.fields import Fields
from consent_core.formats.token import decode_base64url, encode_base64url

ANSWER, GRANT, WITHDRAWAL, BUNDLE, END = "answer", "grant", "withdrawal", "bundle", "end"
KINDS = (ANSWER, GRANT, WITHDRAWAL, BUNDLE, END)
PAGE_BYTES = 524_288  # of bodies in one request, unless a single one is larger
MAX_PAGE_BYTES = 268_435_456  # a snapshot of a long log


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that was kept, byte for byte."""

    kind: str
    body: bytes


def write_kept(lines: Iterable[Kept]) -> bytes:
    """The NDJSON of a page. `read_kept` gives the same values back."""
    return b"".join(_line(kept) for kept in lines)


def read_kept(data: bytes) -> tuple[Kept, ...]:
    """Raises: Rejected("bad-request")."""
    return tuple(_read(line) for line in data.removesuffix(b"\n").split(b"\n") if data)


def pages(lines: Iterable[Kept]) -> Iterable[tuple[Kept, ...]]:
    """In requests of bearable size; the last one ends with `end`."""
    page: list[Kept] = []
    size = 0
    for kept in lines:
        if page and size + len(kept.body) > PAGE_BYTES:
            yield tuple(page)
            page, size = [], 0
        page.append(kept)
        size += len(kept.body)
    yield (*page, Kept(END, b""))


def _line(kept: Kept) -> bytes:
    return json.dumps({"body": encode_base64url(kept.body), "kind": kept.kind}, separators=(",", ":")).encode() + b"\n"


def _read(line: bytes) -> Kept:
    try:
        fields = Fields(read_json_object(line, MAX_PAGE_BYTES), _refuse, ("kind", "body"))
    except Untrusted as error:
        raise _refuse(error.message) from error
    kind = fields.one_of("kind", KINDS)
    return Kept(kind, b"" if kind == END else decode_base64url(fields.text("body", MAX_PAGE_BYTES)))


def _refuse(message: str) -> Rejected:
    return Rejected("bad-request", message)
