"""What an operator revokes. Doing it twice adds no second entry, so a command whose answer was lost may be repeated.

session   categories of one visitor, as a withdrawal by the visitor would
purge     one visitor altogether: the identity, its records and sessions here, every row at every POP
key       a signing key; if it is the one in use, a new one takes over first
model     a release
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from consent_core.crash import crash_point
from consent_core.errors import Rejected, Unavailable
from consent_core.formats.revocation import EVERY_VERSION, Entry
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.token import CATEGORIES
from consent_core.trust.keys import ROLES, KeyStore
from control_plane.consent import records
from control_plane.consent.consents import Consents
from control_plane.consent.records import Visitor
from control_plane.log.log import RevocationLog, Writing, last_entry
from control_plane.revocations.erasing import Erasing

_WORKLOAD = ("spiffe://", "serial:")  # a peer or one of its certificates, as the mesh guard names them
REGION = "control-plane"  # where a change by an operator is recorded to have been made


@dataclass(frozen=True, slots=True)
class Revoking:
    """Revocations by an operator.

    `replaced`: a new key signs from now on. `permit`: raises where somebody may not be purged. `remember`: who was, so
    that no restored copy brings them back.
    """

    log: RevocationLog
    consents: Consents
    keys: KeyStore
    erasing: Erasing
    replaced: Callable[[], None] = lambda: None
    permit: Callable[[Connection, str], None] = lambda *_: None
    remember: Callable[[Entry], None] = lambda _: None

    def revoke(self, request: RevocationRequest) -> Entry:
        """Append the entry, or find the one that says the same.

        Raises: Rejected("visitor-unknown" | "key-unknown", 404), Unavailable("request-held") for a purge.
        """
        if request.kind == "key":
            self._replace_key(request.subject)
        with self.log.writing() as writing:
            entry = _REVOKE[request.kind](self, writing, request)
        if request.kind == "purge":
            self.remember(entry)
            with suppress(Unavailable):  # what fails stays owed; the maintenance loop tries it again
                self.erasing.step()
        return entry

    def distrust(self, kid: str) -> None:
        """A key that the log took away before this store was lost signs nothing from here on."""
        with suppress(Rejected):  # a key that this keyring lacks signs nothing anyway
            self._replace_key(kid)

    def _session(self, writing: Writing, request: RevocationRequest) -> Entry:
        visitor = self._visitor(writing, request.subject)
        said = last_entry(writing.connection, "session", request.subject)
        if visitor is not None and not _says(said, visitor, request):
            self.consents.withdrawing.by_operator(writing, visitor, request.categories, REGION)
            crash_point("revoke.record-stored")
            said = last_entry(writing.connection, "session", request.subject)
        if said is None:
            raise Rejected("visitor-unknown", "no such visitor", status=404)
        return said

    def _purge(self, writing: Writing, request: RevocationRequest) -> Entry:
        visitor = self._visitor(writing, request.subject)
        writing.lock()
        done = last_entry(writing.connection, "purge", request.subject)
        if visitor is None and done is not None:
            self.erasing.resume(writing.connection, done)
            return done
        if visitor is None and last_entry(writing.connection, "session", request.subject) is None:
            raise Rejected("visitor-unknown", "no such visitor, and no entry of the log about one", status=404)
        self.permit(writing.connection, request.subject)
        deleted = self.erasing.delete(writing.connection, visitor, request.subject)
        crash_point("purge.records-deleted")
        # This pseudonym is never given to a visitor again, so no version of a token of it is good.
        entry = writing.append("purge", request.subject, CATEGORIES, EVERY_VERSION)
        self.erasing.begin(writing.connection, entry, deleted)
        return entry

    def _named_thing(self, writing: Writing, request: RevocationRequest) -> Entry:
        writing.lock()
        done = last_entry(writing.connection, request.kind, request.subject)
        return writing.append(request.kind, request.subject) if done is None else done

    def _visitor(self, writing: Writing, subject: str) -> Visitor | None:
        return records.find_visitor(writing.connection, subject=subject)

    def _replace_key(self, kid: str) -> None:
        """Nothing may be signed with the key from here on. Dying after this leaves a rotation, which is harmless."""
        if kid.startswith(_WORKLOAD):
            return
        role = next((role for role in ROLES if kid in {key.kid for key in self.keys.all(role)}), None)
        if role is None and kid not in {key.kid for key in self.keys.trust_file().trusted_keys}:
            raise Rejected("key-unknown", "no key of that id in the trust file", status=404)
        if role is not None and self.keys.current(role).kid == kid:
            self.keys.rotate(role, overlap_s=0)
        self.replaced()
        self.keys.revoke(kid)
        crash_point("revoke.key-replaced")


_REVOKE: Mapping[str, Callable[[Revoking, Writing, RevocationRequest], Entry]] = {
    "session": Revoking._session,
    "purge": Revoking._purge,
    "key": Revoking._named_thing,
    "model": Revoking._named_thing,
}


def _says(said: Entry | None, visitor: Visitor, request: RevocationRequest) -> bool:
    """Whether the newest entry says all of this, and nothing has changed since."""
    return said is not None and said.ver == visitor.ver and set(request.categories) <= set(said.categories)
