"""What deliveries say, verified: entries of the log before, grants, withdrawals, policies.

Answers and grant proofs are signed by this control plane's own key; what is not is left out and counted. A withdrawal
is believed as it would have been when it was forwarded.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.formats.grant_proof import GrantProof, open_proof
from consent_core.formats.kept import ANSWER, BUNDLE, END, GRANT, WITHDRAWAL, Kept
from consent_core.formats.revocation import MAX_SNAPSHOT_BYTES, Entry, Trust, entry_hash, open_answer, open_snapshot
from consent_core.formats.withdrawals import RowError, WithdrawalRow, read_rows


class TrustFile(Trust, Protocol):
    """Whom this control plane trusts: its own keys of role `log`, those that retired included."""


@dataclass(slots=True)
class Material:
    """Everything that was delivered. `left_out`: what could not be verified, by code."""

    entries: dict[str, Entry] = field(default_factory=dict)
    grants: list[GrantProof] = field(default_factory=list)
    withdrawals: list[WithdrawalRow] = field(default_factory=list)
    bundles: list[bytes] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def read_material(lines: Iterable[Kept], trust: TrustFile) -> Material:
    """Verify what was delivered. Something that is bad costs nothing but itself."""
    material = Material()
    for kept in lines:
        if kept.kind == END:
            continue
        try:
            _READ[kept.kind](material, kept.body, trust)
        except ConsentEdgeError as error:
            material.left_out[error.code] += 1
    return material


def _answer(material: Material, body: bytes, trust: TrustFile) -> None:
    value = read_json_object(body, MAX_SNAPSHOT_BYTES)
    nonce = value.get("nonce")
    if not isinstance(nonce, str):
        raise Untrusted("log-malformed", "no nonce")
    opened = (open_snapshot if "through" in value else open_answer)(body, trust, nonce, 0, frozenset())
    material.entries |= {entry_hash(entry): entry for entry in opened.entries}


def _grant(material: Material, body: bytes, trust: TrustFile) -> None:
    material.grants.append(open_proof(body, trust, frozenset()))


def _withdrawal(material: Material, body: bytes, _: TrustFile) -> None:
    (row,) = read_rows(body)
    if isinstance(row, RowError):
        raise Untrusted("withdrawal-malformed", row.message)
    material.withdrawals.append(row)


def _bundle(material: Material, body: bytes, _: TrustFile) -> None:
    material.bundles.append(body)


_READ = {ANSWER: _answer, GRANT: _grant, WITHDRAWAL: _withdrawal, BUNDLE: _bundle}
