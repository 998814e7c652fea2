"""A yes: the control plane adds it to the record, and the session's next secret goes to the browser."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from consent_core.audit.recording import AuditContext
from consent_core.errors import Unavailable
from consent_core.formats.consent import ConsentAnswer, ConsentRequest
from consent_core.formats.session import Credentials, credentials_of, stored, write_secret
from consent_core.formats.subject import subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.http.answers import Answer, Header
from consent_core.http.asgi import read_json
from runtime_host.pop.serving.rates import Rate, Rates
from runtime_host.pop.serving.routes.consent.asking import Asked, key_of
from runtime_host.pop.serving.routes.consent.room import Room
from runtime_host.pop.serving.routes.request_bodies import MAX_BRACKETS, MAX_CONSENT_BYTES, Yes, read_grant
from runtime_host.pop.serving.routes.stream import Streams
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores import PopStore
from runtime_host.pop.stores.raw import GRANT


@dataclass(frozen=True, slots=True)
class Recorded:
    """A yes that the control plane has. `headers`: the cookies that go with it; `session`: the new one.

    `overruled`: the categories for which it stands above what this browser refused before.
    """

    answer: ConsentAnswer
    session: Credentials
    headers: tuple[Header, ...]
    overruled: frozenset[str]


class Granting:
    """`POST /v1/consent`."""

    def __init__(self, room: Room, store: PopStore, streams: Streams, rates: Rates) -> None:
        self._rates = rates
        self._room = room
        self._store = store
        self._streams = streams

    async def grant(self, call: Call) -> Answer:
        """Record a yes. Raises: Rejected (of the body, or the control plane's), Unavailable."""
        room = self._room
        asked = await room.asker.ask(call)
        body = await read_json(call.receive, MAX_CONSENT_BYTES, MAX_BRACKETS)
        yes = read_grant(body, room.here.age_band)
        done = await self.record(asked, yes, key_of(call.headers))
        state = room.states.told(asked, room.asker.owner(done.session), done.answer, done.overruled)
        answer = await room.bundling.answer(asked, state, yes.bundled, done.answer.token, *done.headers)
        self._streams.tell(subject_of(done.answer.sub), "consent")
        return answer

    async def record(self, asked: Asked, yes: Yes, key: str) -> Recorded:
        """Have it recorded. The disk is asked first: a yes that this POP cannot work with is not recorded either."""
        room = self._room
        current = asked.session
        self._rates.check(asked.client, Rate.GRANT)
        if current is None:
            self._rates.check(asked.client, Rate.VISITOR)
        secret = write_secret(secrets.token_bytes(32))
        following = credentials_of(secret.encode("ascii"))
        await room.carried.take(asked, current, room.asker.owner(current))
        reserve = partial(self._store.sessions.reserve, stored(following.grant))
        await self._store.database.writer.run(reserve, durable=False)
        request = self._request(asked, yes, key, current, following)
        answer = await room.records.record(request)
        _say(asked.context, request, answer, room.notices.policy_hash)
        await self._keep(answer)
        granted = [name for name in yes.grant if name in answer.choices]
        headers = (
            *await room.records.adopt(asked, answer, following, presented=False),
            room.records.session_cookie(secret, answer),
            *room.refusal_cookie.after_yes(asked, granted),
        )
        overruled = () if asked.refusals.broken else (name for name in granted if name not in request.refused)
        return Recorded(answer, following, headers, frozenset(overruled))

    async def _keep(self, answer: ConsentAnswer) -> None:
        """Keep what a control plane restored from a backup needs to record this yes again.

        A disk that refuses now loses that alone: the yes is recorded, and is answered as such.
        """
        try:
            if answer.proof is not None:
                proof = answer.proof.encode("ascii")
                await self._store.database.writer.run(lambda: self._store.raw.keep(GRANT, proof))
        except Unavailable as error:
            self._room.records.count(error)

    def _request(
        self, asked: Asked, yes: Yes, key: str, current: Credentials | None, following: Credentials
    ) -> ConsentRequest:
        notice = self._room.notices.of_digest(asked.jurisdiction, yes.notice)
        return ConsentRequest(
            session=None if current is None else current.grant,
            next_session=stored(following.grant),
            next_withdraw=stored(following.withdraw),
            key=key,
            grant=yes.grant,
            jurisdiction=asked.jurisdiction,
            gpc=asked.gpc,
            age_band=yes.age_band,
            pop=self._room.here.pop,
            number=yes.number,
            refused=_refused(yes, self._said(asked, current)),
            source=yes.source,
            clause_id=None if notice is None else notice.id,
            notice_digest=None if notice is None else notice.sha256,
            language=None if notice is None else notice.language,
            legacy=None if current is None else current.legacy,
        )

    def _said(self, asked: Asked, current: Credentials | None) -> dict[str, int]:
        """The noes that the control plane may not have: in this browser's cookie, and in this POP's outbox."""
        cookie = asked.refusals.numbers()
        waiting = self._room.states.waiting(self._room.asker.owner(current))
        return {name: max(cookie.get(name, 0), waiting.get(name, 0)) for name in {*cookie, *waiting}}


def _say(context: AuditContext, request: ConsentRequest, answer: ConsentAnswer, policy: str | None) -> None:
    """What this POP's trail says of a yes. `policy`: the one in force here."""
    context.say(
        choices=tuple(answer.choices),
        jurisdiction=request.jurisdiction,
        rules=tuple(f"{category} {reason}" for category, reason in sorted(answer.reasons.items())),
        policy=policy,
        notice=request.notice_digest,
    )


def _refused(yes: Yes, numbers: Mapping[str, int]) -> dict[str, int]:
    """What this browser refused and this yes is not about, or that was refused after it."""
    later = {} if yes.source != "grant" else dict.fromkeys(yes.grant, yes.number)
    return {
        name: number
        for name, number in numbers.items()
        if name in CATEGORIES and (name not in later or (later[name] or number) < number)
    }
