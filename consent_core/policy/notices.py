"""The notice of the law that applies, in the language of its reader: what a receipt may say was shown.

    notice = notice_for(bundle.table, bundle.clauses, "JP", languages_of("ja-JP,en;q=0.5"))
    notice.id, notice.language, notice.sha256

A clause `notice-jp` is English; `notice-jp.ja` is the same notice in Japanese.
"""

import re
from collections.abc import Mapping, Sequence

from consent_core.policy.clauses import LANGUAGE, Clause
from consent_core.policy.table import UNKNOWN, PolicyTable

MAX_HEADER = 1_024  # characters of Accept-Language; browsers send less than a hundred
MAX_LANGUAGES = 16

_RANGE = re.compile(r"([a-z]{2,3})(?:-[a-z0-9]{1,8})*(?:[ \t]*;[ \t]*q=([01](?:\.[0-9]{1,3})?))?")


def notices_in(table: PolicyTable, clauses: Mapping[str, Clause], jurisdiction: str) -> dict[str, Clause]:
    """The notice of that place by language. A place that no law covers has the strictest law's."""
    law = table.laws.get(jurisdiction) or table.laws[UNKNOWN]
    return {clause.language: clause for clause in clauses.values() if clause.id.partition(".")[0] == law.notice}


def notice_for(
    table: PolicyTable, clauses: Mapping[str, Clause], jurisdiction: str, languages: Sequence[str] = ()
) -> Clause:
    """The notice of that place in the first of `languages` that it has, else in English."""
    found = notices_in(table, clauses, jurisdiction)
    return next(found[language] for language in (*languages, LANGUAGE) if language in found)


def languages_of(accept_language: str) -> tuple[str, ...]:
    """The languages of an Accept-Language header (RFC 9110 section 12.5.4), best first, without regions.

    What cannot be read is left out.
    """
    if len(accept_language) > MAX_HEADER:
        return ()
    ranges = [_RANGE.fullmatch(part.strip().lower()) for part in accept_language.split(",")[:MAX_LANGUAGES]]
    weighted = [(-float(found[2] or 1), found[1]) for found in ranges if found is not None]
    ordered = sorted(weighted, key=lambda pair: pair[0])
    return tuple(dict.fromkeys(language for weight, language in ordered if weight))
