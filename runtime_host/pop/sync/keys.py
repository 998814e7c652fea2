"""Follows the keys that may have signed a token: `/.well-known/jwks.json` of the control plane's mesh listener.

A set that cannot be fetched or read changes nothing. A key that a good set no longer names stays for one token
lifetime, so that no token outlives its key. Unknown key ids ask for one fetch per `wanted_s`, and the same id not
again for `UNKNOWN_S`: invented ids reach nothing. Revoked keys (the log's business) are left out at once.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from consent_core.clock import Clock
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.jwks import MAX_BYTES, read_jwks
from consent_core.formats.token import MAX_LIFETIME_S, Key
from consent_core.trust.files import write_atomically
from runtime_host.pop.sync.fetch import ControlPlane

PATH = "/.well-known/jwks.json"
FILE = "jwks.json"
UNKNOWN_S = 60.0  # a key id that was not there is not asked for again so soon
MAX_UNKNOWN = 256  # key ids remembered as unknown; the oldest goes first


class KeyFollower:
    """Token keys of one POP. `generation` rises when the set changes. `_lingering`: kid → elapsed until it stays."""

    def __init__(
        self,
        home: Path,
        known: Sequence[Key],
        control_plane: ControlPlane,
        clock: Clock,
        wanted_s: float,
        revoked: Callable[[str], bool],
    ) -> None:
        self._path = home / FILE
        self._control_plane = control_plane
        self._clock = clock
        self._wanted_s = wanted_s
        self._revoked = revoked
        self._listed: tuple[Key, ...] = self._load() or tuple(known)
        self._lingering: dict[Key, float] = {}
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._wanted_at = float("-inf")
        self.generation = 0

    def keys(self) -> tuple[Key, ...]:
        """The keys that may have signed a token that is still alive."""
        now = self._clock.elapsed()
        lingering = (key for key, until in self._lingering.items() if now < until)
        return tuple(key for key in (*self._listed, *lingering) if not self._revoked(key.kid))

    def wanted(self, kid: str) -> bool:
        """Note that an unknown key id was seen; whether it is worth a fetch now."""
        now = self._clock.elapsed()
        if now - self._wanted_at < self._wanted_s or now < self._unknown.get(kid, now):
            return False
        self._remember_unknown(kid, now + UNKNOWN_S)
        self._wanted_at = now
        return True

    def reload(self) -> None:
        """Take over what another process of this POP fetched. Raises: Unavailable("store-io"): believe nothing then."""
        if not self._path.exists():  # none was ever fetched: the trust file's
            return
        keys = self._load()
        if not keys:
            raise Unavailable("store-io", "cannot read the key set")
        if keys != self._listed:
            self._replace(keys)

    async def fetch(self) -> None:
        """Ask for the set. Raises: Unavailable, Untrusted("jwks-…" | "json-malformed"); then nothing changed."""
        reply = await self._control_plane.get(PATH, limit=MAX_BYTES)
        if reply.status != 200:
            raise Unavailable("control-plane-failed", f"the key set answered {reply.status}")
        keys = read_jwks(reply.body)
        if not keys:
            raise Untrusted("jwks-empty", "a key set without keys")
        if keys != self._listed:
            self._keep(reply.body)
            self._replace(keys)

    def _keep(self, data: bytes) -> None:
        try:
            write_atomically(self._path, data)
        except OSError as error:
            raise Unavailable("store-io", f"cannot keep the key set: {error.strerror}") from error

    def _replace(self, keys: tuple[Key, ...]) -> None:
        now = self._clock.elapsed()
        named = {key.kid for key in keys}
        ends = self._lingering | dict.fromkeys(self._listed, now + MAX_LIFETIME_S)
        self._lingering = {key: end for key, end in ends.items() if now < end and key.kid not in named}
        self._listed = keys
        self._unknown.clear()
        self.generation += 1

    def _remember_unknown(self, kid: str, until: float) -> None:
        self._unknown[kid] = until
        self._unknown.move_to_end(kid)
        if len(self._unknown) > MAX_UNKNOWN:
            self._unknown.popitem(last=False)

    def _load(self) -> tuple[Key, ...]:
        """The last good set; none if there is no readable one (the trust file's keys then do)."""
        try:
            return read_jwks(self._path.read_bytes())
        except (OSError, Untrusted):
            return ()
