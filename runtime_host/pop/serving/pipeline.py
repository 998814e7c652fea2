"""From a request's headers to what may be shown: the stages, in order, as a list one can read.

    credentials   which token, if any                                       → Server-Timing: token
    lookup        validated before, and would be again?                     → token
    validate      the signature natively, then the component, in a sandbox  → validate
    policy        what the token comes down to here and now                 → policy
    signals       the data the deciding category may see                    → decide
    lookup        decided before, for exactly these inputs?                 → decide
    decide        the personalisation component, in a fresh sandbox         → decide

A stage that cannot go on says why by raising; then, and whenever nothing is effective, the visit ends with the
default. Stages that have to wait return an awaitable; the hot path never does. After the last wait `still_holds`
must be asked before the first byte leaves: a revocation may have arrived meanwhile.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter

from consent_core.audit.recording import AuditContext
from consent_core.decision.contract import PageContext, Signals
from consent_core.decision.credentials import presented_token
from consent_core.decision.grant import jurisdiction_of, without_refused
from consent_core.decision.request import Headers, honours_gpc
from consent_core.decision.seams import TrustState, Validator
from consent_core.decision.signals import arm_of, choose_signals, entropy_of
from consent_core.errors import ConsentEdgeError, Rejected, Unavailable
from consent_core.formats import token
from consent_core.formats.catalogue import Slot
from consent_core.telemetry.counters import Counter, Histogram
from consent_core.trust.signatures import verify_signature
from runtime_host.pop.serving.decisions import Decider, Offer, Shown
from runtime_host.pop.serving.recent import DAY_S, Recent
from runtime_host.pop.serving.token_cache import Grant, KnownToken, TokenCache, check_token, effective

TIMINGS = ("token", "validate", "policy", "decide", "transform")
DEFAULT = "default"  # the consent state of a visitor who gets what everybody gets
NOTHING = Grant((), None, False)


class Visit:
    """One request on its way through the stages. Never outlives it, never shared.

    `context`: what the audit trail will say of it.
    """

    __slots__ = (
        "category", "code", "entropy", "generation", "grant", "headers", "known", "now", "page", "place",
        "shown", "signals", "spent", "text",
    )  # fmt: skip

    def __init__(
        self, headers: Headers, place: "Place | None", page: PageContext | None, context: AuditContext | None = None
    ) -> None:
        if context is not None:
            context.visit = self
        self.headers = headers
        self.place = place
        self.page = page
        self.text: bytes | None = None
        self.known: KnownToken | None = None
        self.grant = NOTHING
        self.generation = -1
        self.category: str = DEFAULT
        self.signals: Signals | None = None
        self.entropy = 0
        self.shown: Shown | None = None  # None: the default
        self.now = 0
        self.code: str | None = None
        self.spent = [0.0, 0.0, 0.0, 0.0, 0.0]  # seconds, in the order of TIMINGS

    def settle_for_default(self, code: str) -> None:
        """This visit ends like everybody's; what was found out so far is dropped."""
        self.category = DEFAULT
        self.shown = None
        self.signals = None
        self.code = code


@dataclass(frozen=True, slots=True)
class Place:
    """A slot and what it offers to a function. `categories`: its own first, then its fallbacks."""

    slot: Slot
    offer: Offer
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the stages are configured with. `issuer`: who signs tokens here; `pop_key`: 32 secret bytes."""

    issuer: str
    leeway_s: int
    jurisdiction: str
    geo_header: bytes | None
    cookie: bytes
    pop_key: bytes


Stage = Callable[[Visit], Awaitable[None] | None]


class Pipeline:
    """The stages of one POP. All state it changes is the caches', on the event loop's thread."""

    def __init__(
        self,
        rules: Rules,
        trust_state: TrustState,
        validator: Validator,
        tokens: TokenCache,
        decider: Decider,
        recent: Recent,
        counters: "Counters",
    ) -> None:
        self.trust_state = trust_state
        self.tokens = tokens
        self.decider = decider
        self.recent = recent
        self.refusal: Callable[[str], ConsentEdgeError | None] = lambda _: None  # of a component, by digest
        self._rules = rules
        self._validator = validator
        self._counters = counters
        self._to_identity: tuple[tuple[int, Stage], ...] = (
            (0, self._credentials),
            (0, self._lookup),
            (1, self._validate_always),
        )
        self._to_grant: tuple[tuple[int, Stage], ...] = (
            (0, self._credentials),
            (0, self._lookup),
            (1, self._validate),
            (2, self._policy),
        )
        self._to_decision: tuple[tuple[int, Stage], ...] = (
            *self._to_grant,
            (3, self._signals),
            (3, self._lookup_decision),
            (3, self._decide),
        )

    async def grant(self, visit: Visit) -> None:
        """Find out what is effective for this request. Raises: Rejected("credential-conflict")."""
        await self._run(visit, self._to_grant)

    async def identify(self, visit: Visit) -> None:
        """Find out whose token this is, even while not in sync: to name who says "no", never to show anything."""
        await self._run(visit, self._to_identity)

    async def decide(self, visit: Visit) -> None:
        """Find out what to show. Raises: Rejected("credential-conflict"); nothing else keeps a visitor from it."""
        started = perf_counter()
        await self._run(visit, self._to_decision)
        place = visit.place
        name = "" if place is None else place.slot.name
        self._counters.decision_seconds.observe(perf_counter() - started, name, visit.category)
        self._counters.decisions.add(name, visit.category)
        if visit.code is not None and visit.category is DEFAULT:
            self._counters.defaults.add(visit.code)

    def count(self, error: Unavailable) -> None:
        """Count what could not be done for a request that is answered all the same."""
        self._counters.unavailable.add(error.code)

    def still_holds(self, visit: Visit) -> bool:
        """Whether a personalised answer may leave now. Nothing may be awaited between this and the first byte."""
        if visit.shown is None:
            return True
        trust_state, known = self.trust_state, visit.known
        if not self._all_trusted(visit.category):
            return False
        if known is None or known.claims.exp <= self.trust_state.now() or not trust_state.in_sync():
            return False
        generation = trust_state.generation  # before what is checked: another process may raise it meanwhile
        if generation == visit.generation:
            return True
        try:
            check_token(known.kid, known.digest, trust_state)
            known.grants.clear()
            known.checked_at = generation
            return set(self._grant_of(visit, known).categories) >= set(visit.grant.categories)
        except ConsentEdgeError:  # also a disk that cannot say: then it does not hold
            return False

    def law(self, visit: Visit) -> str:
        """The jurisdiction that this request was decided under."""
        return jurisdiction_of(visit.headers, self._rules.geo_header, self._rules.jurisdiction)

    def _require_trusted(self, digest: str) -> None:
        """Raises: Untrusted("component-distrusted") for a component whose signature does not count any more."""
        refusal = self.refusal(digest)
        if refusal is not None:
            raise refusal

    def _all_trusted(self, category: str) -> bool:
        deciding = self.decider.personalizers.get(category)
        digests = (self._validator.digest, *(() if deciding is None else (deciding.digest,)))
        return all(self.refusal(digest) is None for digest in digests)

    async def _run(self, visit: Visit, stages: tuple[tuple[int, Stage], ...]) -> None:
        spent = visit.spent
        before = perf_counter()
        try:
            for timing, stage in stages:
                waiting = stage(visit)
                if waiting is not None:
                    await waiting
                after = perf_counter()
                spent[timing] += after - before
                before = after
        except ConsentEdgeError as error:
            self._refuse(visit, error)

    def _refuse(self, visit: Visit, error: ConsentEdgeError) -> None:
        if isinstance(error, Rejected):
            self._counters.rejected.add(error.code)
            if error.code == "credential-conflict":
                raise error
        elif isinstance(error, Unavailable):
            self._counters.unavailable.add(error.code)
        visit.settle_for_default(error.code)

    def _credentials(self, visit: Visit) -> None:
        visit.text = presented_token(visit.headers, self._rules.cookie)
        if visit.text is None:
            visit.code = "no-token"

    def _lookup(self, visit: Visit) -> None:
        if visit.text is None:
            return
        trust_state = self.trust_state
        visit.generation, visit.now = trust_state.generation, trust_state.now()
        digest = self._validator.digest
        self._require_trusted(digest)
        visit.known = self.tokens.lookup(visit.text, digest, trust_state, visit.generation, visit.now)

    def _validate(self, visit: Visit) -> Awaitable[None] | None:
        if visit.text is None or visit.known is not None or not self.trust_state.in_sync():
            return None
        return self._ask_validator(visit, visit.text)

    def _validate_always(self, visit: Visit) -> Awaitable[None] | None:
        if visit.text is None or visit.known is not None:
            return None
        return self._ask_validator(visit, visit.text)

    async def _ask_validator(self, visit: Visit, received: bytes) -> None:
        text = _as_text(received)
        kid = await self._check_signature(text)
        expected = token.Expectation(self._rules.issuer, token.AUDIENCE, self.trust_state.now(), self._rules.leeway_s)
        digest, started = self._validator.digest, perf_counter()
        try:
            claims = await self._validator.avalidate(text, self.trust_state.keys(), expected)
        finally:
            self._counters.sandbox_seconds.observe(perf_counter() - started, "consent-validation")
        visit.generation = self.trust_state.generation
        self._require_trusted(digest)
        check_token(kid, sha256(received).hexdigest(), self.trust_state)
        visit.known = self.tokens.remember(received, claims, kid, digest, visit.generation)

    async def _check_signature(self, text: str) -> str:
        """The key id of a token that some published key signed: a forged one costs no sandbox.

        What passes is the component's to judge. Raises: Rejected, with the code that the component would give.
        """
        unverified = token.parse(text)
        published = self.trust_state.keys()
        if not any(key.kid == unverified.kid for key in published):
            await self.trust_state.learn_key(unverified.kid)
        key = token.find_key(self.trust_state.keys(), unverified.kid, unverified.algorithm)
        verify_signature(key.algorithm, key.key, unverified.message, unverified.signature)
        return unverified.kid

    def _policy(self, visit: Visit) -> None:
        if visit.text is None:
            return
        if visit.known is None:
            visit.code = "not-in-sync"
            return
        visit.grant = self._grant_of(visit, visit.known)
        visit.code = visit.grant.code

    def _grant_of(self, visit: Visit, known: KnownToken) -> Grant:
        grant = effective(known, self.law(visit), honours_gpc(visit.headers), self.trust_state)
        return without_refused(grant, visit.headers.get(b"cookie"))

    def _signals(self, visit: Visit) -> None:
        place, known, page = visit.place, visit.known, visit.page
        allowed = visit.grant.categories
        if place is None or known is None or page is None:
            return
        category = next((name for name in place.categories if name in allowed), None)
        if category is None:
            visit.code = visit.code or "not-effective"
            return
        self._require_trusted(self.decider.personalizers[category].digest)
        sub = known.claims.sub
        history = self.recent.of(known.subject, visit.generation) if category == "behavioral" else None
        experiment = place.slot.experiment
        arm = arm_of(experiment, sub) if category == "experimental" and experiment is not None else None
        visit.category = category
        visit.signals = choose_signals(category, allowed, page, history, arm)
        visit.entropy = self._entropy(known, place.slot.name, visit.now)

    def _entropy(self, known: KnownToken, slot: str, now: int) -> int:
        """The day's entropy of this visitor in this slot, computed once per token."""
        key = (slot, now // DAY_S)
        value = known.entropy.get(key)
        if value is None:
            value = known.entropy[key] = entropy_of(self._rules.pop_key, known.claims.sub, slot, now)
        return value

    def _lookup_decision(self, visit: Visit) -> None:
        if visit.signals is not None and visit.place is not None:
            visit.shown = self.decider.lookup(visit.category, visit.place.offer, visit.signals, visit.entropy)

    def _decide(self, visit: Visit) -> Awaitable[None] | None:
        if visit.shown is not None or visit.signals is None or visit.place is None:
            return None
        return self._ask_personalizer(visit, visit.place.offer, visit.signals)

    async def _ask_personalizer(self, visit: Visit, offer: Offer, signals: Signals) -> None:
        started = perf_counter()
        try:
            visit.shown = await self.decider.decide(visit.category, offer, signals, visit.entropy)
        finally:
            self._counters.sandbox_seconds.observe(perf_counter() - started, "personalization")


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters that the stages raise."""

    decisions: Counter
    defaults: Counter
    rejected: Counter
    unavailable: Counter
    decision_seconds: Histogram
    sandbox_seconds: Histogram


def places_of(slots: Mapping[str, Slot], offers: Mapping[str, Offer]) -> dict[str, Place]:
    """Every slot of the catalogue with its offer, by name."""
    return {name: Place(slot, offers[name], (slot.category, *slot.fallback)) for name, slot in slots.items()}


def _as_text(received: bytes) -> str:
    try:
        return received.decode("ascii")
    except UnicodeDecodeError as error:
        raise Rejected("token-base64", "not ASCII", status=401) from error
