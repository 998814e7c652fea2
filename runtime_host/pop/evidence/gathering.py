"""What this POP holds of a person who asks for it, sealed to the asker: who carries it cannot read it.

    task = PeriodicTask(Gatherer(pop, control_plane, store, trails, provider).look, …)

The control plane says of whom it is asked; the POP reads its own store and the person's records of its own trails.
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from consent_core.audit.reader import read_records
from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.fields import Fields
from consent_core.formats.subject import subject_of
from consent_core.formats.token import decode_base64url
from consent_core.trust.providers import KeyProvider
from consent_core.trust.sealing import seal
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync.fetch import ControlPlane

EVERY_S = 5.0
MAX_RECORDS = 50_000  # of one trail in one answer
SEALED = "application/octet-stream"

_ID = re.compile(r"[A-Za-z0-9-]{1,32}")
_PERSON = re.compile(r"[0-9a-f]{64}")


class Gatherer:
    """One POP's parts of answers. `trails`: the folder that holds a trail per writer; None where no trail is kept."""

    def __init__(
        self, pop: str, control_plane: ControlPlane, store: PopStore, trails: Path | None, provider: KeyProvider | None
    ) -> None:
        self._pop = pop
        self._control_plane = control_plane
        self._store = store
        self._trails = trails
        self._provider = provider

    async def look(self) -> None:
        """Answer what is asked now. Raises: Unavailable, Untrusted("gathering-malformed")."""
        path = f"/v1/gathering/{self._pop}"
        reply = await self._control_plane.get(path)
        if reply.status != 200:
            return  # an older policy: this POP is not asked
        for asked in Fields(read_json_object(reply.body, 65_536), _malformed, ("wanted",)).items("wanted", 256):
            fields = Fields(asked, _malformed, ("id", "subject", "public_key"))
            name, subject = fields.matching("id", _ID), fields.matching("subject", _PERSON)
            part = await asyncio.to_thread(self.part, subject)
            sealed = seal(decode_base64url(fields.text("public_key", 64)), part, f"part edge/{self._pop}")
            await self._control_plane.send("POST", f"{path}?request={name}", sealed, SEALED)

    def part(self, subject: str) -> bytes:
        """What this POP holds, as JSON. Raises: Unavailable, Untrusted for a trail that does not verify."""
        history = {category: self._history(subject, category) for category in ("behavioral", "experimental")}
        outbox = [
            {"categories": list(no.categories or ()), "at": no.at} for no in self._store.outbox.pending_of(subject)
        ]
        value = {
            "place": f"edge/{self._pop}",
            "history": history,
            "noes_on_their_way": outbox,
            "records": list(self._records(subject)),
        }
        return canonical_json(value)

    def _history(self, subject: str, category: str) -> list[dict[str, Any]]:
        kept = self._store.history.read(subject, category)
        return [{"kind": one.kind, "item": one.item, "tags": list(one.tags), "at": one.at} for one in kept]

    def _records(self, subject: str) -> Iterator[dict[str, Any]]:
        if self._trails is None or self._provider is None:
            return
        for trail in sorted(path for path in self._trails.glob(f"{self._pop}*") if path.is_dir()):
            yield from self._of_trail(trail, subject)

    def _of_trail(self, trail: Path, subject: str) -> Iterator[dict[str, Any]]:
        count = 0
        assert self._provider is not None
        try:
            for record in read_records(trail, self._provider):
                if record.person is not None and _is(record.person, subject) and count < MAX_RECORDS:
                    count += 1
                    yield {"trail": trail.name, "at": record.at, **record.fields, "person": record.person}
        except ConsentEdgeError as error:
            yield {"trail": trail.name, "unreadable": error.code}


def _is(person: dict[str, Any], subject: str) -> bool:
    return "sub" in person and subject_of(str(person["sub"])) == subject


def _malformed(message: str) -> Untrusted:
    return Untrusted("gathering-malformed", message)
