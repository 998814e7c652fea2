"""What the asker may do with a request that exists: read it, fetch what is sealed to them, take it back.

Who shows the request's secret is its asker, also after erasure; who presents the session's grant credential is the
person whom it is about, whoever made it.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from consent_core.errors import Rejected
from consent_core.formats.subject import subject_of
from consent_core.trust.sealing import public_of
from control_plane.consent import sessions
from control_plane.dsar import store
from control_plane.dsar.intake import Intake
from control_plane.dsar.records import results_of, status_of
from control_plane.dsar.store import Request


@dataclass(frozen=True, slots=True)
class Shown:
    """What a caller shows: a session's grant credential, a request's secret, or both."""

    grant: str | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """Over one store. `intake`: its parts are used here, too."""

    intake: Intake

    def status(self, request: str, shown: Shown) -> dict[str, Any]:
        """How far it is. Raises: Rejected("request-unknown", 404), also for who may not know."""
        with self.intake.log.reading() as connection:
            return self._status(connection, self._mine(connection, request, shown))

    def of_session(self, grant: str) -> list[dict[str, Any]]:
        """Everything that the person of a session asked. Raises: Rejected("session-…")."""
        with self.intake.log.reading() as connection:
            mine = store.of_person(connection, self._handle(connection, grant))
            return [self._status(connection, request) for request in mine]

    def answers(self, request: str, shown: Shown) -> Mapping[str, bytes]:
        """What is sealed to the asker, by name. Raises: as `status`."""
        with self.intake.log.reading() as connection:
            return store.answers_of(connection, self._mine(connection, request, shown).id)

    def cancel(self, request: str, shown: Shown) -> dict[str, Any]:
        """Take it back. Raises: as `status`, and Rejected("request-final", 409)."""
        with self.intake.log.reading() as connection:
            self._mine(connection, request, shown)
        self.intake.cancel(request)
        return self.status(request, shown)

    def by_operator(self, request: str | None = None) -> list[dict[str, Any]]:
        """One request, or all, with what shows each step."""
        with self.intake.log.reading() as connection:
            found = store.all_of(connection) if request is None else [store.find(connection, request)]
            if None in found:
                raise unknown()
            return [self._shown_whole(connection, one) for one in found if one is not None]

    def sealed(self, request: str) -> Mapping[str, bytes]:
        """What is sealed to the asker, for an operator who passes it on unread."""
        with self.intake.log.reading() as connection:
            return store.answers_of(connection, request)

    def _shown_whole(self, connection: Connection, request: Request) -> dict[str, Any]:
        steps = results_of(store.steps_of(connection, request.id))
        return {**self._status(connection, request), "steps": steps, "verifier": request.verifier}

    def _status(self, connection: Connection, request: Request) -> dict[str, Any]:
        rows = store.steps_of(connection, request.id)
        return status_of(request, rows, self.intake.deadlines, self.intake.clock.now())

    def _mine(self, connection: Connection, name: str, shown: Shown) -> Request:
        request = store.find(connection, name)
        if request is not None and self._is_mine(connection, request, shown):
            return request
        raise unknown()

    def _is_mine(self, connection: Connection, request: Request, shown: Shown) -> bool:
        if shown.secret is not None and hmac.compare_digest(public_of(shown.secret), request.public_key):
            return True
        return shown.grant is not None and self._handle(connection, shown.grant) == request.handle

    def _handle(self, connection: Connection, grant: str) -> str:
        found = sessions.find(connection, grant, None, self.intake.clock.now())
        session = sessions.require_current(found)
        return self.intake.proofs.handle(subject_of(session.sub))


def unknown() -> Rejected:
    """The refusal of a request that is not there, or not the caller's."""
    return Rejected("request-unknown", "no request of that id", status=404)
