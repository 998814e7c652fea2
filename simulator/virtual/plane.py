"""The real control plane in a simulation: reached by POPs over `app`, by operators directly, backed up and put back.

`truth` is what the log and the policies say and when they said it: what POPs are judged by.
"""

import shutil
from pathlib import Path
from typing import Any

from consent_core.formats.revocation import Answer, Snapshot, open_answer
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.token import CATEGORIES
from consent_core.policy.bundle import Bundle, open_bundle
from consent_core.trust.trust_file import NO_LOG, TrustFile
from control_plane.app import ControlPlane, create_app
from control_plane.settings import Settings
from fleet.policies import next_bundle
from simulator.virtual.oracle import Truth
from simulator.virtual.time import MachineClock

STORE = "consent.db"


class Plane:
    """One control plane and its operators. `_running` is another one after a rewind."""

    def __init__(self, data: Path, clock: MachineClock, truth: Truth) -> None:
        self._settings = Settings(data=data, clock=clock, mutual_tls=False)
        self._clock = clock
        self._truth = truth
        self._running: ControlPlane = create_app(self._settings)
        self.trust: TrustFile = self._running.keys.trust_file()
        self._bundle = self._open(self._running.policies.bundle().body)
        self._original = self._bundle
        self._switched_off: set[tuple[str, str]] = set()
        self.note()

    @property
    def head(self) -> int:
        """The highest entry."""
        return self._running.log.head()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The mesh listener's application, as it is now."""
        await self._running.mesh_app(scope, receive, send)

    def note(self) -> None:
        """Tell the truth of entries that came since the last time; a simulated moment has no length."""
        while self._truth.head < self.head:
            reply = self._running.log.reply(self._truth.head, "note")
            answer: Answer | Snapshot = open_answer(
                reply.body, self.trust, "note", self._clock.now(), self._running.log.revoked_keys()
            )
            for entry in answer.entries:
                table = self._bundle.table if entry.kind == "policy" else None
                self._truth.hear(entry, self._clock.elapsed(), table)

    def revoke(self, subject: str, categories: tuple[str, ...]) -> None:
        """An operator takes categories of a visitor back."""
        self._running.revoking.revoke(RevocationRequest("session", subject, categories))
        self.note()

    def purge(self, subject: str) -> None:
        """An operator erases a visitor."""
        self._running.revoking.revoke(RevocationRequest("purge", subject, CATEGORIES))
        self.note()

    def switch_policy(self, jurisdiction: str, category: str) -> None:
        """Publish a policy under which a category is off in a place (and so where the law is unknown), or on again."""
        self._switched_off ^= {(jurisdiction, category)}
        signer = self._running.keys.current("bundle")
        data = next_bundle(self._bundle, self._original, self._switched_off, signer, self._clock.now())
        self._bundle = self._open(data)
        self._running.policies.publish(data)
        self.note()

    def back_up(self, to: Path) -> None:
        """Copy the store as it is on the disk."""
        to.mkdir(parents=True, exist_ok=True)
        for file in self._settings.home.glob(f"{STORE}*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, to / file.name)

    def rewind(self, backup: Path) -> None:
        """Replace the store by an older copy, as a careless operator would."""
        self._running.close()
        for file in self._settings.home.glob(f"{STORE}*"):
            file.unlink()
        for file in backup.iterdir():
            shutil.copy(file, self._settings.home / file.name)
        self._running = create_app(self._settings)

    def close(self) -> None:
        """End it."""
        self._running.close()

    def _open(self, data: bytes) -> Bundle:
        return open_bundle(data, self.trust, self._clock.now(), NO_LOG, min_revision=0)
