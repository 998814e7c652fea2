"""Checkpoints opened by the trust file: its ledger keys, its witnesses, its quorum."""

from consent_core.formats.note import OpenedCheckpoint, open_checkpoint
from consent_core.trust.signatures import verify_signature
from consent_core.trust.trust_file import TrustFile


def open_trusted(note: bytes, trust: TrustFile, quorum: int | None = None) -> OpenedCheckpoint:
    """The checkpoint of a note. `quorum`: another than the trust file's, for who reads what is not published yet.

    Raises: Untrusted, as `open_checkpoint` does.
    """
    wanted = trust.witness_quorum if quorum is None else quorum
    return open_checkpoint(note, trust.ledger_origin, trust.keys("ledger"), trust.witnesses, wanted, verify_signature)
