"""`GET /v1/consent/notice`: the words shown before choosing, by law and language, with their digest."""

from collections.abc import Callable
from typing import Any

from consent_core.decision.request import Headers
from consent_core.decision.seams import TrustState
from consent_core.errors import Unavailable
from consent_core.http.answers import Answer, json_answer
from consent_core.policy.clauses import Clause
from consent_core.policy.notices import languages_of, notice_for, notices_in
from runtime_host.pop.serving.routing import Call


class Notices:
    """Finds notices in the policy in force."""

    def __init__(self, trust_state: TrustState) -> None:
        self._trust_state = trust_state

    @property
    def policy_hash(self) -> str | None:
        """Which policy that is; None before the first."""
        policy: Any = self._trust_state.policy
        return None if policy is None else str(policy.hash)

    def shown(self, jurisdiction: str, headers: Headers) -> Clause | None:
        """The notice for a person here who reads these languages; None before the first policy."""
        policy: Any = self._trust_state.policy
        if policy is None:
            return None
        languages = languages_of(headers.get(b"accept-language", b"").decode("latin-1"))
        return notice_for(policy.table, policy.clauses, jurisdiction, languages)

    def named(self, jurisdiction: str, headers: Headers) -> dict[str, str] | None:
        """The same as part of a state: without its words."""
        notice = self.shown(jurisdiction, headers)
        return None if notice is None else {"clause_id": notice.id, "digest": notice.sha256}

    def of_digest(self, jurisdiction: str, digest: str | None) -> Clause | None:
        """The notice that a page says it showed; None if it is none of this law's in force."""
        policy: Any = self._trust_state.policy
        if policy is None:
            return None
        found = notices_in(policy.table, policy.clauses, jurisdiction)
        return next((notice for notice in found.values() if notice.sha256 == digest), None)


class NoticePage:
    """The route."""

    def __init__(self, notices: Notices, jurisdiction_of: Callable[[Headers], str]) -> None:
        self._notices = notices
        self._jurisdiction_of = jurisdiction_of

    async def get(self, call: Call) -> Answer:
        """The text with its name and digest. Raises: Unavailable("no-policy")."""
        jurisdiction = self._jurisdiction_of(call.headers)
        notice = self._notices.shown(jurisdiction, call.headers)
        if notice is None:
            raise Unavailable("no-policy", "no policy bundle has arrived yet")
        return json_answer(
            {
                "jurisdiction": jurisdiction,
                "language": notice.language,
                "clause_id": notice.id,
                "title": notice.title,
                "text": notice.text,
                "digest": notice.sha256,
            },
            (b"vary", b"Accept-Language"),
        )
