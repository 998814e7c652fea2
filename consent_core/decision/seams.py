"""What the pipeline needs from its neighbours, as protocols: the sync room and the two functions.

The real ones are `runtime_host.pop.sync` and `runtime_host.wasm.functions`; their native
twins fit the same holes.
"""

from collections.abc import Sequence
from typing import Protocol

from consent_core.decision.contract import Candidate, Decision, Signals
from consent_core.formats.token import Claims, Expectation, Key


class Effective(Protocol):
    """What policy makes of a set of choices."""

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that are effective."""
        ...


class Table(Protocol):
    """The decision table of one policy bundle."""

    def lookup(self, jurisdiction: str, gpc: bool, choices: tuple[str, ...]) -> Effective:
        """What is effective for these choices under this law and signal."""
        ...


class Policy(Protocol):
    """The policy in force."""

    @property
    def hash(self) -> str:
        """Its name, `sha256:…`."""
        ...

    @property
    def revision(self) -> int:
        """Its number; never goes back."""
        ...

    @property
    def table(self) -> Table:
        """Its evaluated rules."""
        ...


class TrustState(Protocol):
    """What of the control plane's word is in force at this POP, now. Reading it never waits."""

    @property
    def generation(self) -> int:
        """Rises with every change that could take something away: denials, keys, policies, local withdrawals."""
        ...

    @property
    def policy(self) -> Policy | None:
        """The active bundle; None before the first."""
        ...

    def in_sync(self) -> bool:
        """Whether the control plane answered a poll sent less than 60 s ago."""
        ...

    def hash_status(self, policy_hash: str) -> str:
        """`current`, `older` (was active once) or `unknown`."""
        ...

    def denied(self, subject: str, ver: int) -> frozenset[str]:
        """The categories that tokens of this subject (64 hex digits) at this `ver` have lost."""
        ...

    def text_denied(self, digest: str) -> bool:
        """Whether the token of this text (hex SHA-256) was itself taken back."""
        ...

    def keys(self) -> Sequence[Key]:
        """The keys that may have signed a token."""
        ...

    def key_revoked(self, kid: str) -> bool:
        """Whether the log took this key away."""
        ...

    def now(self) -> int:
        """Unix seconds: the wall clock, or the control plane's signed time where that is later."""
        ...

    async def learn_key(self, kid: str) -> bool:
        """A token names an unknown key: fetch the keys unless that was just tried; whether it is there now."""
        ...

    def request_sync(self) -> None:
        """Ask for one sync soon. At most one is under way, and they keep a distance."""
        ...


class Validator(Protocol):
    """The consent-validation function."""

    @property
    def digest(self) -> str:
        """The component that says yes, `sha256:…`."""
        ...

    async def avalidate(self, text: str, keys: Sequence[Key], expected: Expectation) -> Claims:
        """The claims of a valid token. Raises: Rejected(token-…), Unavailable(sandbox-…)."""
        ...


class Personalizer(Protocol):
    """The personalisation function of one release."""

    @property
    def digest(self) -> str:
        """The component that decides, `sha256:…`."""
        ...

    async def adecide(self, slot: str, signals: Signals, candidates: tuple[Candidate, ...], entropy: int) -> Decision:
        """One choice. Raises: Rejected(decision error), Unavailable(sandbox-…)."""
        ...
