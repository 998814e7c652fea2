"""One-time codes. A row is as secret as its code, until it is used or its time is over; then only its id is left."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.formats.enrolment import SECRET_BYTES, CodeKeys, EnrolmentRequest, write_code
from control_plane.store.database import Database
from control_plane.store.schema import enrolments

VALID_S = range(60, 86_401)
NOBODY = CodeKeys("", bytes(SECRET_BYTES))


@dataclass(frozen=True, slots=True)
class Invitations:
    """The codes of one store; control planes that share it share them."""

    database: Database
    clock: Clock

    def invite(self, pop: str, valid_s: int) -> tuple[str, int]:
        """A new code for a POP's name, and when it ends. A code for the same name that is still open ends now.

        Raises: Rejected("bad-request") for a time below a minute or above a day.
        """
        if valid_s not in VALID_S:
            raise Rejected("bad-request", f"valid_s: expected {VALID_S.start} to {VALID_S.stop - 1}")
        secret, until = secrets.token_bytes(SECRET_BYTES), self.clock.now() + valid_s
        keys = CodeKeys.of(secret)
        row = {"id": keys.id, "pop": pop, "key": keys.key, "expires_at": until}
        with self.database.write() as connection:
            self._sweep(connection)
            connection.execute(delete(enrolments).where(enrolments.c.pop == pop))
            connection.execute(insert(enrolments).values(row))
        return write_code(pop, secret), until

    def use(self, request: EnrolmentRequest) -> CodeKeys:
        """The code's keys, once: the second caller is refused, also at the same moment.

        One refusal for all reasons, after the same comparison: an answer tells nothing about which codes there are.
        Raises: Rejected("enrolment-refused", 403).
        """
        with self.database.read() as connection:
            row = connection.execute(select(enrolments).where(enrolments.c.id == request.id)).one_or_none()
        keys = NOBODY if row is None or row.key is None else CodeKeys(row.id, row.key)
        good = request.is_by(keys)
        if not good or row is None or keys is NOBODY or row.pop != request.pop or row.expires_at <= self.clock.now():
            raise _refused()
        if not self._take(keys):
            raise _refused()
        return keys

    def _take(self, keys: CodeKeys) -> bool:
        unused = (enrolments.c.id == keys.id) & (enrolments.c.key.is_not(None))
        with self.database.write() as connection:
            return connection.execute(update(enrolments).where(unused).values(key=None)).rowcount == 1

    def _sweep(self, connection: Connection) -> None:
        connection.execute(delete(enrolments).where(enrolments.c.expires_at <= self.clock.now()))


def _refused() -> Rejected:
    return Rejected("enrolment-refused", "no such code, or it is used or over: ask for another one", status=403)
