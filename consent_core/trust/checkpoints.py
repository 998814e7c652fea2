"""Checkpoints opened by the trust file: its ledger keys, its witnesses, its quorum."""

from consent_core.errors import Untrusted
from consent_core.formats.note import OpenedCheckpoint, open_checkpoint
from consent_core.trust.signatures import verify_signature
from consent_core.trust.trust_file import TrustFile


def open_trusted(note: bytes, trust: TrustFile, quorum: int | None = None) -> OpenedCheckpoint:
    """The checkpoint of a note. `quorum`: another than the trust file's, for who reads what is not published yet.

    Whether the log's key was in force is not looked at: see `open_in_force`.
    Raises: Untrusted, as `open_checkpoint` does.
    """
    wanted = trust.witness_quorum if quorum is None else quorum
    return open_checkpoint(note, trust.ledger_origin, trust.keys("ledger"), trust.witnesses, wanted, verify_signature)


def open_in_force(note: bytes, trust: TrustFile) -> OpenedCheckpoint:
    """The same, if a key that signed it was valid, and not revoked, when the witnesses saw it.

    Where the trust file asks for no witness there is no such time: a revoked key then counts for nothing at all.
    Raises: as `open_trusted`, and Untrusted("trust-key-revoked" | "trust-key-expired").
    """
    opened = open_trusted(note, trust)
    at = opened.witness_time
    kids = [kid for kid in opened.kids if kid not in trust.revoked or (at is not None and at < trust.revoked[kid])]
    if not kids:
        raise Untrusted("trust-key-revoked", "the ledger's key was revoked before witnesses saw this checkpoint")
    known = {key.kid: key for key in trust.trusted_keys if key.role == "ledger"}
    if at is not None and not any(known[kid].valid_at(at) for kid in kids):
        raise Untrusted("trust-key-expired", "the ledger's key was not valid when witnesses saw this checkpoint")
    return opened
