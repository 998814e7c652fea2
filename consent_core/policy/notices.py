"""The notice of the law that applies, in the language of who reads it: what a receipt may say was shown.

    notice = notice_for(bundle.table, bundle.clauses, "JP", languages_of("ja-JP,en;q=0.5"))
    notice.text, notice.digest

A clause `notice-jp` is English; `notice-jp.ja` is the same notice in Japanese. The digest is over the clause's file, as
in receipts (`clauses.py`). Pure: a POP answers `GET /v1/consent/notice` by it, the control plane checks digests by it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consent_core.policy.clauses import LANGUAGE, Clause
from consent_core.policy.table import UNKNOWN, PolicyTable

MAX_HEADER = 1_024  # characters of Accept-Language; browsers send less than a hundred
MAX_LANGUAGES = 16

_RANGE = re.compile(r"([a-z]{2,3})(?:-[a-z0-9]{1,8})*(?:;q=([01](?:\.[0-9]{1,3})?))?")


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. `jurisdiction`: whose law it is of, `ZZ` for an unknown place."""

    jurisdiction: str
    language: str
    clause_id: str
    text: str
    digest: str


def notice_for(
    table: PolicyTable, clauses: Mapping[str, Clause], jurisdiction: str, languages: Sequence[str] = ()
) -> Notice:
    """The notice of that place in the first of `languages` that it has, else in English."""
    place = jurisdiction if jurisdiction in table.laws else UNKNOWN
    base = table.laws[place].notice
    wanted = (base if language == LANGUAGE else f"{base}.{language}" for language in languages)
    clause = clauses[next((name for name in wanted if name in clauses), base)]
    return Notice(place, clause.language, clause.id, clause.markdown, clause.sha256)


def languages_of(accept_language: str) -> tuple[str, ...]:
    """The languages of an Accept-Language header, best first. What cannot be read is left out."""
    if len(accept_language) > MAX_HEADER:
        return ()
    ranges = [_RANGE.fullmatch(part.strip().lower()) for part in accept_language.split(",")[:MAX_LANGUAGES]]
    weighted = [(-float(found[2] or 1), found[1]) for found in ranges if found is not None]
    ordered = sorted(weighted, key=lambda pair: pair[0])
    return tuple(dict.fromkeys(language for weight, language in ordered if weight))
