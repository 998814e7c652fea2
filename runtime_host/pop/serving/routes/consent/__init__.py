"""`/v1/consent`: a visitor's own consent, spoken for by the secret in their session cookie.

    GET           what holds now; fetches a fresh token where one is due      reading
    POST          a yes: the control plane records it                         granting
    DELETE        a "no": in force here, durably, before anyone is asked      withdrawing
    POST refresh  a fresh token for an unchanged record                       reading
    GET notice    the words a person is shown, with their digest              notices
    POST form     the same changes from a plain form                          forms
    GET stream    tells open pages of changes                                 listening

`asking` reads who asks, `state` says what a page is told, `records` asks the control plane, `carried` takes what a
browser brings in `consent-no`, `keeping` writes that cookie for who cannot, `bundling` adds decisions.

The secret leaves this room only in a Set-Cookie; stores see hashes, the control plane a credential made of it. A token
is never put into a body, and no answer takes the session from a browser.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consent_core.clock import Clock
from consent_core.decision.grant import jurisdiction_of
from consent_core.http.clients import Clients
from runtime_host.pop.serving.delivery import Delivery
from runtime_host.pop.serving.last_answers import LastAnswers
from runtime_host.pop.serving.pipeline import Pipeline
from runtime_host.pop.serving.rates import Rates
from runtime_host.pop.serving.routes.consent.asking import Asker, PopIdentity
from runtime_host.pop.serving.routes.consent.bundling import Bundling
from runtime_host.pop.serving.routes.consent.carried import Carried, Outgoing
from runtime_host.pop.serving.routes.consent.forms import Forms
from runtime_host.pop.serving.routes.consent.granting import Granting
from runtime_host.pop.serving.routes.consent.keeping import RefusalCookie
from runtime_host.pop.serving.routes.consent.listening import Listening
from runtime_host.pop.serving.routes.consent.notices import NoticePage, Notices
from runtime_host.pop.serving.routes.consent.reading import Reading
from runtime_host.pop.serving.routes.consent.records import Records
from runtime_host.pop.serving.routes.consent.room import Room
from runtime_host.pop.serving.routes.consent.state import States
from runtime_host.pop.serving.routes.consent.withdrawing import Withdrawing
from runtime_host.pop.serving.routes.reports import models_by_category
from runtime_host.pop.serving.routes.stream import Streams
from runtime_host.pop.serving.routing import Route
from runtime_host.pop.stores import PopStore
from runtime_host.pop.sync.fetch import ControlPlane

__all__ = ["ConsentRoom", "Neighbours", "PopIdentity"]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the room needs of the POP around it."""

    clock: Clock
    pipeline: Pipeline
    delivery: Delivery
    store: PopStore
    outgoing: Outgoing
    plane: ControlPlane
    streams: Streams
    last_answers: LastAnswers
    clients: Clients
    rates: Rates


class ConsentRoom:
    """The handlers, put together. `asker`: tells whose session a request shows; other rooms ask it too."""

    def __init__(self, here: PopIdentity, near: Neighbours) -> None:
        self._near = near
        store, trust_state = near.store, near.pipeline.trust_state
        asker = Asker(here, near.pipeline, store.sessions, store.revocations.is_erased, near.clients)
        notices = Notices(trust_state)
        states = States(near.clock, trust_state, store.outbox, notices, near.last_answers, self._models)
        records = Records(here, near.clock, near.plane, store, states, near.pipeline)
        self._room = Room(
            here, asker, states, records,
            carried=Carried(near.outgoing, store.outbox, states),
            bundling=Bundling(near.delivery, here.cookies),
            refusal_cookie=RefusalCookie(here.cookies),
            notices=notices,
            outgoing=near.outgoing,
        )  # fmt: skip
        self.asker = asker

    def _models(self) -> dict[str, str]:
        return models_by_category(self._near.pipeline.decider.personalizers)

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        room, near = self._room, self._near
        reading = Reading(room)
        granting = Granting(room, near.store, near.streams, near.rates)
        withdrawing = Withdrawing(room, near.pipeline, near.clock)
        listening = Listening(room.asker, near.streams, near.pipeline.trust_state, near.rates)
        notice = NoticePage(room.notices, self._jurisdiction())
        forms = Forms(room, granting, withdrawing)
        handlers = {"GET": reading.read, "POST": granting.grant, "DELETE": withdrawing.withdraw}
        return (
            Route("consent", "/v1/consent", handlers),
            Route("consent-refresh", "/v1/consent/refresh", {"POST": reading.refresh}),
            Route("consent-notice", "/v1/consent/notice", {"GET": notice.get}),
            Route("consent-form", "/v1/consent/form", {"POST": forms.change, "GET": forms.back}, form=True),
            Route("consent-stream", "/v1/consent/stream", {"GET": listening.stream}),
        )

    def _jurisdiction(self) -> Callable[[dict[bytes, bytes]], str]:
        here = self._room.here
        return lambda headers: jurisdiction_of(headers, here.geo_header, here.jurisdiction)
