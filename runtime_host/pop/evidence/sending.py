"""Sends what this POP attested until it is answered: identical bytes, in order. First it has its key endorsed.

    sending = Sending(attester, store, control_plane)
    await sending.enrol()      # at start: the endorsement, and what the control plane knows of this place
    await sending.send()       # until nothing waits

What is answered leaves the disk at once: statements name people.
"""

from pathlib import Path

from consent_core.crash import crash_point
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.attester import (
    MAX_LINES,
    AttesterRequest,
    proof_message,
    read_answer,
    read_intake,
    write_lines,
    write_request,
)
from runtime_host.pop.evidence.attesting import Attester
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync.fetch import ControlPlane

ATTESTERS, ATTESTATIONS = "/v1/attesters", "/v1/attestations"


class Sending:
    """One POP's way to the control plane."""

    def __init__(self, attester: Attester, store: PopStore, control_plane: ControlPlane, home: Path) -> None:
        self._attester = attester
        self._home = home
        self._store = store
        self._control_plane = control_plane

    async def enrol(self) -> None:
        """Have the key endorsed, once in a run. Raises: Unavailable, Untrusted("attester-…")."""
        if self._attester.ready:
            return
        key = self._attester.key
        request = AttesterRequest(key.public_key, key.sign(proof_message(self._attester.spiffe_id)))
        reply = await self._control_plane.send("POST", ATTESTERS, write_request(request))
        if reply.status != 200:
            raise Untrusted("attester-refused", f"the control plane does not endorse this key: {reply.status}")
        answer = read_answer(reply.body)
        key.keep_endorsement(self._home, answer.endorsement)
        self._attester.agree(answer.known)

    async def send(self) -> int:
        """Send what waits; how much was taken. Raises: Unavailable, Untrusted("attester-answer")."""
        taken = 0
        while rows := self._store.attested.pending(MAX_LINES):
            body = write_lines([line for _, line in rows])
            crash_point("attestations-sending")
            reply = await self._control_plane.send("POST", ATTESTATIONS, body)
            if reply.status != 200:
                raise Unavailable("attestations-refused", f"attestations were answered {reply.status}")
            answer = read_intake(reply.body)
            crash_point("attestations-answered")
            self._store.attested.sent([number for number, _ in rows[: answer.accepted]])
            taken += answer.accepted
            if answer.accepted < len(rows):
                raise Unavailable("attestations-refused", f"an attestation was not taken: {answer.code}")
        return taken
