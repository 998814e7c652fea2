"""Who may call which route of the mesh: `personalization.authz` of the policy bundle in force."""

import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Protocol

from consent_core.errors import Rejected, Unavailable
from consent_core.formats.canonical import canonical_json
from consent_core.trust.mesh import Authorize

# evaluate(rule, input) -> what the policy bundle says, such as `Rego.evaluate`.
Evaluate = Callable[[str, Mapping[str, Any]], Any]


class _Rules(Protocol):
    """Compiled Rego."""

    def evaluate(self, rule: str, value: Mapping[str, Any]) -> Any:
        """What the rule says of a value."""
        ...


class AuthorizingBundle(Protocol):
    """A policy bundle, as far as authorising needs it."""

    @property
    def hash(self) -> str:
        """The policy hash."""
        ...

    def rego(self) -> _Rules:
        """Its rules, compiled."""
        ...


AUTHZ_RULE = "personalization.authz.allow"


def policy_authorizer(evaluate: Evaluate) -> Authorize:
    """Authorise by `personalization.authz.allow`: anything but a plain `true` is a refusal.

    The rule is a pure function of its input, so an answer is kept for as long as the bundle is in force: make a
    new authorizer for a new bundle.
    """

    @lru_cache(maxsize=4096)
    def allow(canonical: bytes) -> bool:
        return evaluate(AUTHZ_RULE, json.loads(canonical)) is True

    def authorize(call: Mapping[str, Any]) -> None:
        if not allow(canonical_json(call)):
            role = call["mtls"]["spiffe_id"].split("/")[3]
            raise Rejected("forbidden-route", f"{role} may not {call['method']} this route", status=403)

    return authorize


def bundle_authorizer(bundle: AuthorizingBundle) -> Authorize:
    """The bundle's own rules for the mesh. Compiling them takes a tenth of a second: call this before traffic waits."""
    rego = bundle.rego()
    return policy_authorizer(lambda rule, call: rego.evaluate(rule.removeprefix("data."), call))


def lazy_authorizer(bundle: AuthorizingBundle) -> Authorize:
    """The same, compiled by the first call that asks."""
    compiled = cache(lambda: bundle_authorizer(bundle))
    return lambda call: compiled()(call)


class PolicyInForce:
    """Authorises mesh calls by the bundle in force; a new bundle gets a new authorizer.

    `bundle()`: the bundle in force now, None before the first.
    """

    def __init__(self, bundle: Callable[[], AuthorizingBundle | None]) -> None:
        self._bundle = bundle
        self._hash: str | None = None
        self._authorize: Authorize | None = None

    def __call__(self, call: Mapping[str, Any]) -> None:
        """Return if the call may go through. Raises: Rejected("forbidden-route", 403), Unavailable("no-policy")."""
        bundle = self._bundle()
        if bundle is None:
            raise Unavailable("no-policy", "no policy bundle has arrived yet")
        if self._authorize is None or self._hash != bundle.hash:
            self._authorize, self._hash = bundle_authorizer(bundle), bundle.hash
        self._authorize(call)
