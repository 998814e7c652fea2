"""What may be shown, by the log and the policies alone. Knows tokens' claims and times, but no code of a POP.

`Truth` collects what was said and when; `Oracle.judge` holds one request against it. A request breaks the promise if
it was personalised in a category that

    revoked         the log took from this token more than `bound` seconds ago
    policy-off      no policy of the last `bound` seconds allows here
    withdrawn-here  the visitor withdrew at this very POP, at any time before
    withdrawn       the visitor withdrew elsewhere more than `bound` seconds ago, at a POP that could have passed it on
    widened         the token never named

One thing that no system can promise: a "no" said at a POP that is cut off from the rest reaches the rest only when the
cut heals. The POP takes the token out of the browser, so the browser does not ask with it; a *copy* of the token may
still be replayed elsewhere until it expires. Such requests are counted apart, as `unheard`.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from consent_core.formats.revocation import Entry
from consent_core.formats.token import Claims
from consent_core.policy.table import PolicyTable


@dataclass(frozen=True, slots=True)
class Taken:
    """Categories that every token of a visitor below a version has lost, and since when."""

    below: int
    categories: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Said:
    """A withdrawal said at a POP."""

    pop: int
    taken: Taken


@dataclass(slots=True)
class Truth:
    """What happened. `entries`: number -> (entry, when it was committed); `policies`: since when each is in force."""

    head: int = 0
    entries: dict[int, tuple[Entry, float]] = field(default_factory=dict)
    taken: dict[str, list[Taken]] = field(default_factory=dict)
    said: dict[str, list[Said]] = field(default_factory=dict)
    policy_since: list[float] = field(default_factory=list)
    policies: list[PolicyTable] = field(default_factory=list)

    def hear(self, entry: Entry, at: float, table: PolicyTable | None) -> None:
        """An entry was committed; `table`: the policy it names, if it names one."""
        self.head = entry.seq
        self.entries[entry.seq] = (entry, at)
        if table is not None:
            self.policy_since.append(at)
            self.policies.append(table)
        elif entry.kind in ("session", "purge"):
            self.taken.setdefault(entry.subject, []).append(Taken(entry.ver, entry.categories, at))

    def say(self, subject: str, said: Said) -> None:
        """A visitor withdrew at a POP."""
        self.said.setdefault(subject, []).append(said)

    def policies_since(self, at: float) -> Iterator[PolicyTable]:
        """The policies that were in force at `at` or later."""
        return iter(self.policies[max(0, bisect_left(self.policy_since, at) - 1) :])


@dataclass(frozen=True, slots=True)
class Shown:
    """One personalised answer: at which POP and under which law, for which token, in which categories."""

    pop: int
    jurisdiction: str
    gpc: bool
    at: float
    subject: str
    claims: Claims
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise."""

    rule: str
    category: str
    pop: int
    at: float


class Oracle:
    """Holds answers against the truth. `reachable_since(pop)`: since when a POP can pass things on, None if it cannot.

    `violations`: every one; `unheard`: replays that no POP could know of, by POP where the "no" was said.
    """

    def __init__(self, truth: Truth, bound: float, reachable_since: Callable[[int], float | None]) -> None:
        self._truth = truth
        self._bound = bound
        self._reachable_since = reachable_since
        self.violations: list[Violation] = []
        self.unheard: Counter[int] = Counter()

    def judge(self, shown: Shown) -> None:
        """Find what is wrong with one personalised answer."""
        for category in shown.categories:
            rule = self._broken(shown, category)
            if rule is not None:
                self.violations.append(Violation(rule, category, shown.pop, shown.at))

    def allowed(self, subject: str, claims: Claims, jurisdiction: str, gpc: bool) -> tuple[str, ...]:
        """What a token may show by everything that is known by now, at once."""
        effective = self._truth.policies[-1].lookup(jurisdiction, gpc, claims.scopes).categories
        taken = [*self._truth.taken.get(subject, ()), *(said.taken for said in self._truth.said.get(subject, ()))]
        lost = {category for t in taken if claims.ver < t.below for category in t.categories}
        return tuple(category for category in claims.scopes if category in effective and category not in lost)

    def _broken(self, shown: Shown, category: str) -> str | None:
        if category not in shown.claims.scopes:
            return "widened"
        latest = shown.at - self._bound
        if any(taken.at < latest for taken in self._hits(shown, category, self._truth.taken.get(shown.subject, []))):
            return "revoked"
        tables = self._truth.policies_since(latest)
        scopes = shown.claims.scopes
        if not any(category in t.lookup(shown.jurisdiction, shown.gpc, scopes).categories for t in tables):
            return "policy-off"
        return self._ignored(shown, category, latest)

    def _ignored(self, shown: Shown, category: str, latest: float) -> str | None:
        """Whether a withdrawal said at some POP was ignored."""
        for said in self._truth.said.get(shown.subject, ()):
            if not any(self._hits(shown, category, [said.taken])):
                continue
            if said.pop == shown.pop:
                return "withdrawn-here"
            if said.taken.at < latest:
                since = self._reachable_since(said.pop)
                if since is not None and since < latest:
                    return "withdrawn"
                self.unheard[said.pop] += 1
        return None

    @staticmethod
    def _hits(shown: Shown, category: str, taken: list[Taken]) -> Iterator[Taken]:
        return (t for t in taken if shown.claims.ver < t.below and category in t.categories)
