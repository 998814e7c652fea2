"""A person's own requests about their data, and the page for them.

    POST /v1/consent/requests           a request, by the session's credential or a receipt      requests
    GET  /v1/consent/requests           everything that this session's person asked
    GET, DELETE /v1/consent/requests/ID one request: by the session, or by `Request-Secret`
    GET  /v1/consent/requests/ID/answers  what is sealed to the asker, as it is
    GET, POST /v1/consent/privacy       the same as a page with plain forms, without scripts      page
    GET  /v1/consent/privacy/ID         the answer to an access request, to read and print       answer

This POP names no visitor to the control plane: it passes on what the browser shows. The secret of a request is passed
to its asker and stored nowhere here.
"""

from runtime_host.pop.serving.routes.consent.asking import Asker, PopIdentity
from runtime_host.pop.serving.routes.privacy.page import PrivacyPage
from runtime_host.pop.serving.routes.privacy.requests import PrivacyRequests
from runtime_host.pop.serving.routing import Route
from runtime_host.pop.sync.fetch import ControlPlane

__all__ = ["privacy_routes"]


def privacy_routes(here: PopIdentity, asker: Asker, plane: ControlPlane) -> tuple[Route, ...]:
    """The routes of one POP."""
    requests = PrivacyRequests(here, asker, plane)
    page = PrivacyPage(here, asker, requests)
    return (
        Route("privacy-requests", "/v1/consent/requests", {"GET": requests.mine, "POST": requests.begin}),
        Route("privacy-request", "/v1/consent/requests/", {"GET": requests.one, "DELETE": requests.cancel}),
        Route("privacy-page", "/v1/consent/privacy", {"GET": page.show, "POST": page.change}, form=True),
        Route("privacy-answer", "/v1/consent/privacy/", {"GET": page.download}),
    )
