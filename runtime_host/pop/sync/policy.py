"""Follows the signed policy bundle: fetch, judge, keep on disk, put in force. The last good one stays in force.

A bundle that is unsigned, signed by a key that is not trusted, foreign, damaged, or older than what was ever in force
here is refused (`Untrusted`, which the caller counts); what is on disk is judged again at every start. The log says
which policy is demanded: one that this POP does not have for longer than the sync bound ends personalisation, because
"the last good one" must not be a way to keep an old policy alive.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Unavailable, Untrusted
from consent_core.policy.bundle import open_bundle
from consent_core.trust.files import write_atomically
from runtime_host.pop.stores.policies import Policies
from runtime_host.pop.sync.fetch import ControlPlane
from runtime_host.pop.sync.trusted import Trusted

PATH = "/v1/policy/bundle"
FILE = "policy-bundle.tar.gz"
MAX_BYTES = 16_777_216  # a few hundred rows and some Rego are well below


class Bundle(Protocol):
    """A verified policy bundle, as far as following it needs."""

    @property
    def hash(self) -> str:
        """The policy hash, `sha256:…`."""
        ...

    @property
    def revision(self) -> int:
        """Rises with every publication."""
        ...

    @property
    def table(self) -> Any:
        """The decision table; its readers know its type."""
        ...

    @property
    def previous(self) -> tuple[str, ...]:
        """Hashes of the policies before it."""
        ...

    def rego(self) -> Any:
        """Its rules, compiled: what mesh calls are authorised by."""
        ...


# open(bytes, min_revision, hash of that revision) -> a verified bundle; raises Untrusted
Open = Callable[[bytes, int, str | None], Bundle]


def bundle_opener(trusted: Trusted, now: Callable[[], int], revoked: Callable[[], frozenset[str]]) -> Open:
    """Opens bundles by `consent_core.policy`, with the trust, the time and the revoked keys of that moment."""

    def opened(data: bytes, min_revision: int, known: str | None) -> Bundle:
        return open_bundle(data, trusted.file, now(), revoked(), min_revision=min_revision, current_hash=known)

    return opened


class PolicyFollower:
    """The policy of one POP. `active`: in force, None before the first. `generation` rises when that changes."""

    def __init__(self, home: Path, known: Policies, control_plane: ControlPlane, clock: Clock, opener: Open) -> None:
        self._path = home / FILE
        self._policies = known
        self._control_plane = control_plane
        self._clock = clock
        self._open = opener
        self._fetching = asyncio.Lock()
        self._etag: str | None = None
        self._newest = known.newest()
        self._older = {policy.hash for policy in known.known()}
        self._lacking_since: float | None = None
        self.active: Bundle | None = None
        self.since: int | None = None
        self.generation = 0

    def load(self) -> None:
        """Put the last good bundle in force again. Raises: Untrusted (then none is, until one is fetched)."""
        if self._path.exists():
            self._activate(self._judged(self._path.read_bytes()))

    def judge(self) -> None:
        """Open what is in force again. Raises: Untrusted, Unavailable; then nothing is, until one is fetched."""
        if self.active is None:
            return
        try:
            self._judged(self._path.read_bytes())
        except (Untrusted, OSError) as error:
            self.active, self._etag = None, None
            self.generation += 1
            if isinstance(error, OSError):
                raise Unavailable("store-io", f"cannot read the policy bundle: {error.strerror}") from error
            raise

    def reload(self) -> None:
        """Put in force what another process of this POP fetched. Raises: Untrusted, Unavailable; then none is here."""
        self.active = None
        self._newest = self._policies.newest()
        self._older |= {policy.hash for policy in self._policies.known()}
        try:
            self.load()
        except OSError as error:
            raise Unavailable("store-io", f"cannot read the policy bundle: {error.strerror}") from error

    async def fetch(self) -> bool:
        """Ask for a newer bundle; whether one came into force. Raises: Untrusted, Unavailable; nothing changed then."""
        async with self._fetching:
            headers = {} if self._etag is None else {"if-none-match": self._etag}
            reply = await self._control_plane.get(PATH, headers=headers, limit={200: MAX_BYTES})
            if reply.status == 304:
                return False
            if reply.status != 200:
                raise Unavailable("control-plane-failed", f"the policy bundle answered {reply.status}")
            bundle = self._judged(reply.body)
            new = self.active is None or bundle.hash != self.active.hash
            if new:
                self._keep(reply.body)
                self._activate(bundle)
            self._etag = reply.headers.get("etag")
            return new

    def hash_status(self, policy_hash: str) -> str:
        """`current`, `older` (known, no longer in force) or `unknown`."""
        if self.active is None:
            return "unknown"
        if policy_hash == self.active.hash:
            return "current"
        return "older" if policy_hash in self._older else "unknown"

    def lacking(self) -> bool:
        """Whether the log demands a policy that this POP has never had."""
        demanded = self._policies.demanded()
        lacks = demanded is not None and self.hash_status(demanded) == "unknown"
        if not lacks:
            self._lacking_since = None
        elif self._lacking_since is None:
            self._lacking_since = self._clock.elapsed()
        return lacks

    @property
    def lacking_since(self) -> float | None:
        """`elapsed` when a demanded policy was first found lacking; None if none is."""
        return self._lacking_since

    def lacking_for(self) -> float:
        """Seconds since a demanded policy was first found lacking; 0 if none is."""
        return 0.0 if self._lacking_since is None else self._clock.elapsed() - self._lacking_since

    def _judged(self, data: bytes) -> Bundle:
        """Not older than what was ever in force here, and never two policies of one revision."""
        newest = self._newest
        return self._open(data, 0, None) if newest is None else self._open(data, newest.revision, newest.hash)

    def _keep(self, data: bytes) -> None:
        crash_point("policy-judged")
        try:
            write_atomically(self._path, data)
        except OSError as error:
            raise Unavailable("store-io", f"cannot keep the policy bundle: {error.strerror}") from error
        crash_point("policy-kept")

    def _activate(self, bundle: Bundle) -> None:
        self._policies.activated(bundle.hash, bundle.revision)
        self._newest = self._policies.newest()
        crash_point("policy-noted")
        self._older |= {bundle.hash, *bundle.previous}
        self.active, self.since = bundle, self._clock.now()
        self.generation += 1
        self.lacking()
