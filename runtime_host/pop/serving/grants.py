"""A validated token and what it is worth here and now."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consent_core.formats.token import Claims

if TYPE_CHECKING:  # portable edges have grants too, and no audit trail
    from consent_core.audit.visitors import Person


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is worth for one jurisdiction and signal while the generation lasts.

    `code` is None or says why categories are missing; `refresh`: the visitor's browser should fetch a new token.
    `policy`: the hash of the policy that was asked; None if none was.
    """

    categories: tuple[str, ...]
    code: str | None
    refresh: bool
    policy: str | None = None


@dataclass(slots=True)
class KnownToken:
    """One validated token. `grants` and `arms` belong to the pipeline and hold nothing the claims do not imply."""

    claims: Claims
    kid: str
    subject: str
    person: "Person"  # what the audit trail seals under this visitor's key
    validator: str
    checked_at: int  # the generation at which the key was last found good
    grants: dict[tuple[str, bool], Grant] = field(default_factory=dict)
    entropy: dict[tuple[str, int], int] = field(default_factory=dict)
