"""`GET /v1/consent/stream`: whom an open page belongs to, and what of it can be news."""

from consent_core.decision.seams import TrustState
from consent_core.http.answers import Streaming
from runtime_host.pop.serving.rates import Rate, Rates
from runtime_host.pop.serving.routes.consent.asking import Asked, Asker
from runtime_host.pop.serving.routes.stream import Listener, Streams
from runtime_host.pop.serving.routing import Call
from runtime_host.pop.stores import Session


class Listening:
    """Opens streams."""

    def __init__(self, asker: Asker, streams: Streams, trust_state: TrustState, rates: Rates) -> None:
        self._rates = rates
        self._asker = asker
        self._streams = streams
        self._trust_state = trust_state

    async def stream(self, call: Call) -> Streaming:
        """Tell this page of changes. Anybody may listen; without a visitor only policy changes are news.

        Raises: Unavailable("too-many-streams"), Rejected("client-rate", 429).
        """
        asked = await self._asker.ask(call)
        self._rates.check(asked.client, Rate.STREAM)
        self._streams.require_room(asked.client)  # nothing is awaited between this and the stream's first byte
        owner = self._asker.owner(asked.sessions[0]) if len(asked.sessions) == 1 else None
        known = asked.visit.known
        subject = known.subject if known is not None else owner.subject if owner is not None else None
        listener = Listener(subject, lambda: self._worth(asked, owner), client=asked.client)
        return Streaming(lambda receive, send: self._streams.run(listener, receive, send))

    def _worth(self, asked: Asked, owner: Session | None) -> object:
        """What an open page depends on: changes in it are news."""
        trust_state, known = self._trust_state, asked.visit.known
        policy = None if trust_state.policy is None else trust_state.policy.hash
        if known is not None:
            return policy, trust_state.denied(known.subject, known.claims.ver), trust_state.text_denied(known.digest)
        return policy, None if owner is None else trust_state.denied(owner.subject, owner.ver)
