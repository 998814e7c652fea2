"""`GET /v1/consent/notice`: the words that a person is shown before choosing, by law and language, with their digest.

A notice is a clause of the policy bundle: the law names it, and a translation of it is the clause of that name with a
hyphen and the language (`notice-eu-de`). The text without one is English.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consent_core.decision.request import Headers
from consent_core.decision.seams import TrustState
from consent_core.errors import Unavailable
from consent_core.http.answers import Answer, json_answer
from consent_core.policy.clauses import Clause
from consent_core.policy.table import UNKNOWN
from runtime_host.pop.serving.routing import Call

ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Notice:
    """One text as it is shown. `clause`: of the bundle in force."""

    clause: Clause
    language: str


class Notices:
    """Finds notices in the policy in force."""

    def __init__(self, trust_state: TrustState) -> None:
        self._trust_state = trust_state

    def shown(self, jurisdiction: str, headers: Headers) -> Notice | None:
        """The notice for a person here who reads these languages; None before the first policy."""
        notices = self._all(jurisdiction)
        wanted = [*_languages(headers.get(b"accept-language", b"").decode("latin-1")), ENGLISH]
        return next((notices[language] for language in wanted if language in notices), None)

    def named(self, jurisdiction: str, headers: Headers) -> dict[str, str] | None:
        """The same as part of a state: without its words."""
        notice = self.shown(jurisdiction, headers)
        return None if notice is None else {"clause_id": notice.clause.id, "digest": notice.clause.sha256}

    def of_digest(self, jurisdiction: str, digest: str | None) -> Notice | None:
        """The notice that a page says it showed; None if it is none of this law's in force."""
        return next((n for n in self._all(jurisdiction).values() if n.clause.sha256 == digest), None)

    def _all(self, jurisdiction: str) -> dict[str, Notice]:
        """By language."""
        policy: Any = self._trust_state.policy
        if policy is None:
            return {}
        law = policy.table.laws.get(jurisdiction) or policy.table.laws.get(UNKNOWN)
        return {} if law is None else dict(_translations(law.notice, policy.clauses))


class NoticePage:
    """The route."""

    def __init__(self, notices: Notices, jurisdiction_of: Any) -> None:
        self._notices = notices
        self._jurisdiction_of = jurisdiction_of

    async def get(self, call: Call) -> Answer:
        """The text with its name and digest. Raises: Unavailable("no-policy")."""
        jurisdiction = self._jurisdiction_of(call.headers)
        notice = self._notices.shown(jurisdiction, call.headers)
        if notice is None:
            raise Unavailable("no-policy", "no policy bundle has arrived yet")
        clause = notice.clause
        return json_answer(
            {
                "jurisdiction": jurisdiction,
                "language": notice.language,
                "clause_id": clause.id,
                "title": clause.title,
                "text": clause.text,
                "digest": clause.sha256,
            },
            (b"vary", b"Accept-Language"),
        )


def _translations(name: str, clauses: Mapping[str, Clause]) -> Iterator[tuple[str, Notice]]:
    for clause_id, clause in clauses.items():
        if clause_id == name:
            yield ENGLISH, Notice(clause, ENGLISH)
        elif clause_id.startswith(f"{name}-"):
            language = clause_id.removeprefix(f"{name}-")
            yield language, Notice(clause, language)


def _languages(accepted: str) -> list[str]:
    """The languages of an Accept-Language header, best first, each also without its region (RFC 9110 section 12.5.4).

    What cannot be read counts as wanted least.
    """
    weighed = []
    for place, part in enumerate(accepted.lower()[:256].split(",")):
        tag, _, weight = part.strip().partition(";q=")
        weighed.append((-_weight(weight), place, tag.strip()))
    tags = [tag for weight, _, tag in sorted(weighed) if weight < 0 and tag]
    return [*dict.fromkeys(name for tag in tags for name in (tag, tag.partition("-")[0]))]


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text))) if text else 1.0
    except ValueError:
        return 0.001
