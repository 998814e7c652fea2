"""The real control plane in a simulation: reached by POPs over `app`, by operators directly, backed up and put back.

`truth` is what the log and the policies say and when they said it: what POPs are judged by.
"""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from consent_core.formats.canonical import canonical_json
from consent_core.formats.revocation import Answer, Snapshot, open_answer
from consent_core.formats.token import CATEGORIES
from consent_core.policy.approval import APPROVAL
from consent_core.policy.bundle import MANIFEST, Approver, Bundle, build_bundle, open_bundle
from consent_core.policy.publish import APPROVAL_CLAUSE
from consent_core.policy.rego import DATA_FILE
from consent_core.policy.signature import SIGNATURES
from consent_core.trust.trust_file import TrustFile
from control_plane.app import ControlPlane, create_app
from control_plane.revocations.revoking import RevocationRequest
from control_plane.settings import Settings
from simulator.virtual.oracle import Truth
from simulator.virtual.time import MachineClock

OPERATOR = "simulator/operator"
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
            answer: Answer | Snapshot = open_answer(reply.body, self.trust, "note")
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
        data = self._edited()
        self._bundle = self._open(data)
        self._running.policies.publish(data)
        self.note()

    def back_up(self, to: Path) -> None:
        """Copy the store as it is on the disk."""
        to.mkdir(parents=True, exist_ok=True)
        for file in self._settings.home.glob(f"{STORE}*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, to / file.name)

    async def rewind(self, backup: Path) -> None:
        """Replace the store by an older copy, as a careless operator would."""
        self._running.close()
        await asyncio.sleep(0)
        for file in self._settings.home.glob(f"{STORE}*"):
            file.unlink()
        for file in backup.iterdir():
            shutil.copy(file, self._settings.home / file.name)
        self._running = create_app(self._settings)

    def close(self) -> None:
        """End it."""
        self._running.close()

    def _open(self, data: bytes) -> Bundle:
        return open_bundle(data, self.trust, min_revision=0)

    def _edited(self) -> bytes:
        """The bundle in force with other rows in its table, signed as the next revision.

        The rows are edited, not evaluated: evaluating takes seconds and is `consent_core.policy`'s, tested there.
        """
        files = {path: data for path, data in self._first_files().items()}
        data = json.loads(files[DATA_FILE])
        table = data["consent_edge"]["table"]
        for jurisdiction, category in self._switched_off:
            _switch_off(table, jurisdiction, category)
        files[DATA_FILE] = canonical_json(data)
        approver = Approver(OPERATOR, APPROVAL_CLAUSE, self._clock.now())
        previous = (self._bundle.hash, *self._bundle.previous)
        signer = self._running.keys.current("bundle")
        return build_bundle(files, self._bundle.revision + 1, signer, approver, previous)

    def _first_files(self) -> dict[str, bytes]:
        if not hasattr(self, "_files"):
            made = {MANIFEST, APPROVAL, SIGNATURES}
            self._files = {path: data for path, data in self._bundle.files.items() if path not in made}
        return dict(self._files)


def _switch_off(table: dict[str, Any], jurisdiction: str, category: str) -> None:
    bit = CATEGORIES.index(category)
    never = next(number for number, rule in enumerate(table["rules"]) if not rule["effective"])
    for place, row in table["rows"].items():
        if place.split("/")[0] in (jurisdiction, "ZZ"):
            for answer in (*row["choices"], row["notice"]):
                answer[0] &= ~(1 << bit)
                answer[1 + bit] = never
