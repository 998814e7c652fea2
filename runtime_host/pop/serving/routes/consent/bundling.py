"""The decisions that come along with the answer to a change. They can neither refuse nor delay it."""

from consent_core.http.answers import Answer, Header, compressed, json_answer
from runtime_host.pop.serving.cookies import CookieNames
from runtime_host.pop.serving.delivery import Delivery
from runtime_host.pop.serving.routes.bundled import BundledDecisions, decide_bundled
from runtime_host.pop.serving.routes.consent.asking import Asked
from runtime_host.pop.serving.routes.consent.state import State


class Bundling:
    """Adds to a state what the page would otherwise ask for next."""

    def __init__(self, delivery: Delivery, cookies: CookieNames) -> None:
        self._delivery = delivery
        self._cookies = cookies

    async def answer(
        self, asked: Asked, state: State, wanted: BundledDecisions, token: str | None, *headers: Header,
        status: int = 200,
    ) -> Answer:  # fmt: skip
        """The answer with the page's slots, as this token leads to them; None is a visitor without one."""
        if wanted.slots:
            cookie = None if token is None else self._cookies.token + b"=" + token.encode("ascii")
            state["slots"] = await decide_bundled(self._delivery, wanted, asked.headers, cookie)
        answer = json_answer(state, *headers, status=status)
        return compressed(answer, asked.headers.get(b"accept-encoding", b""))
