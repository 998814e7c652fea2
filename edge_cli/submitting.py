"""Sends what a place measured, under the place's own SVID.

    answer = submit(Path(".edge"), SpiffeId.parse("spiffe://ui-tools/edge/tokyo-1"), body, control_plane)

The file holds a manifest and numbers that were fixed when the week was finished. They are signed once more with the
SVID that the connection shows, because SVIDs are rotated; the words and the numbers stay.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from consent_core.clock import SystemClock
from consent_core.errors import Rejected
from consent_core.formats.update import Update, read_update, write_update
from consent_core.trust.spiffe import SpiffeId
from consent_core.trust.svid_key import SvidSigner
from consent_core.trust.svid_source import open_source
from edge_cli.operator import call


def submit(data: Path, place: SpiffeId, body: bytes, control_plane: str) -> dict[str, Any]:
    """The control plane's verdict. Raises: as the intake refuses."""
    source = open_source(data, place, endpoint_socket=os.environ.get("SPIFFE_ENDPOINT_SOCKET"), clock=SystemClock())
    received = read_update(body)
    signed = write_update(received.update, received.y, SvidSigner.of(source.current()))
    answer: dict[str, Any] = asyncio.run(
        call(source, control_plane, "POST", "/federated-updates", content=signed)
    ).json()
    return answer


def require_asserted(update: Update, model: str, epsilon: float, delta: float, place: str) -> None:
    """What the caller believes about a file must be what it says.

    Raises: Rejected("update-category" | "budget-mismatch" | "update-foreign").
    """
    if model not in update.models:
        raise Rejected("update-category", f"the update holds {', '.join(update.models)}", status=403)
    if (_number(update.guarantee.get("epsilon")), _number(update.guarantee.get("delta"))) != (epsilon, delta):
        raise Rejected("budget-mismatch", f"the update was made for ({update.guarantee.get('epsilon')}, …)")
    if update.spiffe_id != place:
        raise Rejected("update-foreign", f"the update is of {update.spiffe_id}", status=403)


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")
