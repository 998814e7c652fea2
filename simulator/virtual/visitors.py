"""What people and operators do in a simulation: ask, grant, narrow, widen, withdraw, replay old tokens; revoke, purge.

A browser forgets its token when its visitor withdraws, as the POP tells it to; a copy of every token is kept aside and
replayed at other POPs, because that is what must not work.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from consent_core.errors import ConsentEdgeError
from consent_core.formats.consent import ConsentAnswer, ConsentRequest, RefreshRequest, write_request
from consent_core.formats.session import Credentials, credentials_of, stored, write_secret
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES, Claims, parse, read_claims
from consent_core.formats.withdrawals import WithdrawalRow, write_row
from runtime_host.pop.stores import Interaction, Withdrawal
from simulator.virtual.oracle import Said, Taken, Truth
from simulator.virtual.plane import Plane
from simulator.virtual.pop import SimulatedPop

ROAMING = 0.2  # share of requests at a POP that is not the visitor's usual one
REPLAYS = 0.4  # share of requests with a token that something was taken from
AT_FAULT = 0.4  # of the replays: at a POP that something is wrong with
GPC = 0.1  # share of visitors whose browser sends Sec-GPC
AT_ONCE = 20  # first grants under way together
REFRESH_S = 30  # before a token expires

# What happens to consent while traffic runs, by weight.
KINDS = {"withdraw": 0.4, "narrow": 0.15, "widen": 0.1, "revoke": 0.25, "purge": 0.1}


@dataclass(frozen=True, slots=True)
class Held:
    """A token as a browser or a thief holds it."""

    text: str
    claims: Claims
    subject: str


@dataclass(slots=True)
class Visitor:
    """One person with one browser. `session`, `token`: its cookies; `busy`: a wish of theirs is under way."""

    home: int
    gpc: bool
    session: str = ""
    token: Held | None = None
    busy: bool = False
    gone: bool = False

    @property
    def credentials(self) -> Credentials:
        """What the session lets its browser do."""
        return credentials_of(self.session.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to be made."""

    visitor: Visitor
    token: Held | None
    pop: SimulatedPop
    replayed: bool


@dataclass(slots=True)
class Crowd:
    """Everybody. `stolen`: tokens that a later choice replaced or ended. `done`: how many changes of each kind worked.

    `rows`: subject -> the POP that holds a history row; `switched`: what the policies switch off and on again.
    """

    pops: Sequence[SimulatedPop]
    plane: Plane
    truth: Truth
    random: Random
    now: Callable[[], float]
    visitors: list[Visitor] = field(default_factory=list)
    stolen: list[tuple[Visitor, Held]] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    switched: tuple[str, str] | None = None

    async def admit(self, per_pop: int) -> None:
        """Everybody grants everything at their POP, whose history gets a first row of who may have one."""
        self.visitors = [Visitor(pop.number, self.random.random() < GPC) for pop in self.pops for _ in range(per_pop)]
        room = asyncio.Semaphore(AT_ONCE)

        async def enter(visitor: Visitor) -> None:
            async with room:
                await self._grant(visitor, self._pop(visitor.home), CATEGORIES)
                self._remember(visitor)

        async with asyncio.TaskGroup() as group:
            for visitor in self.visitors:
                group.create_task(enter(visitor))

    def ask(self, troubled: Sequence[SimulatedPop]) -> Ask:
        """Who asks next, where, with what."""
        draw = self.random.random
        if self.stolen and draw() < REPLAYS:
            visitor, token = self.random.choice(self.stolen)
            pop = self.random.choice(troubled if troubled and draw() < AT_FAULT else self.pops)
            return Ask(visitor, token, pop, replayed=True)
        visitor = self.random.choice(self.visitors)
        pop = self.random.choice(self.pops) if draw() < ROAMING else self._pop(visitor.home)
        return Ask(visitor, visitor.token, pop, replayed=False)

    async def change(self, kind: str, troubled: Sequence[SimulatedPop]) -> None:
        """Let somebody change something. What cannot be done now (a POP cut off, say) is not done."""
        if kind == "policy":
            try:
                self._switch_policy()
            except ConsentEdgeError:  # a control plane that was put back publishes nothing
                return
        else:
            visitor = self._somebody(troubled)
            pop = None if visitor is None else self._working(visitor)
            if visitor is None or pop is None:
                return
            visitor.busy = True
            try:
                await _CHANGES[kind](self, visitor, pop)
            except ConsentEdgeError:
                return
            finally:
                visitor.busy = False
        self.done[kind] = self.done.get(kind, 0) + 1

    async def refresh(self, visitor: Visitor, pop: SimulatedPop) -> None:
        """A browser fetches a fresh token, as the SDK does when it is told to."""
        if visitor.busy or visitor.gone:
            return
        visitor.busy = True
        try:
            await self._renew(visitor, pop)
        except ConsentEdgeError:
            return
        finally:
            visitor.busy = False

    def _pop(self, number: int) -> SimulatedPop:
        return self.pops[number - 1]

    def _somebody(self, troubled: Sequence[SimulatedPop]) -> Visitor | None:
        """Somebody with a token; as often as not somebody whose POP is in trouble."""
        numbers = {pop.number for pop in troubled}
        free = [visitor for visitor in self.visitors if visitor.token and not visitor.busy and not visitor.gone]
        there = [visitor for visitor in free if visitor.home in numbers]
        few = there if there and self.random.random() < 0.5 else free
        return self.random.choice(few) if few else None

    async def _renew(self, visitor: Visitor, pop: SimulatedPop) -> None:
        request = RefreshRequest(visitor.credentials.grant, pop.jurisdiction, visitor.gpc, pop.name)
        answer = await pop.say("POST", "/v1/consents/-/refresh", write_request(request))
        if answer is not None:
            visitor.token = _token(answer)

    async def _grant(self, visitor: Visitor, pop: SimulatedPop, choices: tuple[str, ...]) -> None:
        secret = write_secret(self.random.randbytes(32))
        following = credentials_of(secret.encode("ascii"))
        request = ConsentRequest(
            visitor.credentials.grant if visitor.session else None,
            stored(following.grant),
            stored(following.withdraw),
            self._key(),
            choices,
            pop.jurisdiction,
            visitor.gpc,
            "adult",
            pop.name,
        )
        answer = await pop.say("POST", "/v1/consents", write_request(request))
        if answer is None:
            return
        if visitor.token is not None:
            self.stolen.append((visitor, visitor.token))
        visitor.session, visitor.token = secret, _token(answer)

    def _key(self) -> str:
        return self.random.randbytes(16).hex()

    def _remember(self, visitor: Visitor) -> None:
        token = visitor.token
        if token is not None and "behavioral" in token.claims.scopes:
            row = Interaction(token.subject, token.claims.ver, "behavioral", "click", "tent", ("camping",))
            self._pop(visitor.home).store.history.record(row)
            self.rows[token.subject] = visitor.home

    async def _withdraw(self, visitor: Visitor, pop: SimulatedPop) -> None:
        """At a POP that works, with or without the control plane: in force there at once, forwarded later."""
        token = visitor.token
        assert token is not None
        categories = None if self.random.random() < 0.6 else ("behavioral",)
        below = token.claims.ver + 1
        taken = Taken(below, categories or CATEGORIES, self.now())
        pop.sync.outgoing.withdraw(
            Withdrawal(self._key(), visitor.credentials.withdraw, token.subject, below, categories)
        )
        self.truth.say(token.subject, Said(pop.number, taken))
        visitor.token = None
        self.stolen.append((visitor, token))

    async def _narrow(self, visitor: Visitor, pop: SimulatedPop) -> None:
        """Take back all but one, at the control plane itself: no POP knows before the log says it."""
        row = WithdrawalRow(self._key(), visitor.credentials.withdraw, None, None, None, CATEGORIES[1:], pop.name, 0)
        answer = await pop.say("DELETE", "/v1/consents/-", write_row(row))
        if answer is not None and visitor.token is not None:
            self.stolen.append((visitor, visitor.token))
            visitor.token = None
            await self._renew(visitor, pop)

    async def _widen(self, visitor: Visitor, pop: SimulatedPop) -> None:
        await self._grant(visitor, pop, CATEGORIES)

    async def _revoke(self, visitor: Visitor, _: SimulatedPop) -> None:
        """By an operator: the browser knows nothing of it."""
        assert visitor.token is not None
        self.stolen.append((visitor, visitor.token))
        self.plane.revoke(visitor.token.subject, CATEGORIES)

    async def _purge(self, visitor: Visitor, _: SimulatedPop) -> None:
        assert visitor.token is not None
        self.stolen.append((visitor, visitor.token))
        self.plane.purge(visitor.token.subject)
        visitor.gone = True

    def _working(self, visitor: Visitor) -> SimulatedPop | None:
        """The visitor's POP, or any other that runs."""
        home = self._pop(visitor.home)
        running = [home] if home.serving else [pop for pop in self.pops if pop.serving]
        return self.random.choice(running) if running else None

    def _switch_policy(self) -> None:
        """Behavioral off somewhere; the next time on again."""
        if self.switched is None:
            self.switched = (self.random.choice(sorted({pop.jurisdiction for pop in self.pops})), "behavioral")
        self.plane.switch_policy(*self.switched)


_CHANGES: Mapping[str, Callable[[Crowd, Visitor, SimulatedPop], Awaitable[None]]] = {
    "withdraw": Crowd._withdraw,
    "narrow": Crowd._narrow,
    "widen": Crowd._widen,
    "revoke": Crowd._revoke,
    "purge": Crowd._purge,
}


def _token(answer: ConsentAnswer) -> Held | None:
    """What the browser holds from now on. Whether it may be believed is each POP's business."""
    if answer.token is None:
        return None
    claims = read_claims(parse(answer.token).claims)
    return Held(answer.token, claims, subject_of(claims.sub))
