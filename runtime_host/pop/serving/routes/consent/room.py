"""What all handlers of `/v1/consent` share, put together once."""

from dataclasses import dataclass

from runtime_host.pop.serving.routes.consent.asking import Asker, PopIdentity
from runtime_host.pop.serving.routes.consent.bundling import Bundling
from runtime_host.pop.serving.routes.consent.carried import Carried, Outgoing
from runtime_host.pop.serving.routes.consent.keeping import RefusalCookie
from runtime_host.pop.serving.routes.consent.notices import Notices
from runtime_host.pop.serving.routes.consent.records import Records
from runtime_host.pop.serving.routes.consent.state import States


@dataclass(frozen=True, slots=True)
class Room:
    """The parts, each with its own module."""

    here: PopIdentity
    asker: Asker
    states: States
    records: Records
    carried: Carried
    bundling: Bundling
    refusal_cookie: RefusalCookie
    notices: Notices
    outgoing: Outgoing
