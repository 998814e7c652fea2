"""The notice that a person reads: of the law that applies, in a language they asked for, with its digest."""

from typing import ClassVar

import pytest

from consent_core.formats.canonical import sha256_digest
from consent_core.policy.clauses import Clause
from consent_core.policy.notices import languages_of, notice_for
from consent_core.policy.sources import read_sources
from consent_core.policy.table import Law, PolicyTable
from consent_core.resources import ROOT

SOURCES = read_sources(ROOT / "policies", ROOT / "legal")


class Laws:
    """The part of a decision table that names notices."""

    laws: ClassVar = {code: Law(code, code, f"notice-{code.lower()}", True) for code in ("EU", "JP", "US-CA", "ZZ")}


def notice(place: str, header: str = "") -> Clause:
    table: PolicyTable = Laws()  # type: ignore[assignment]  # a whole table takes seconds to evaluate
    return notice_for(table, SOURCES.clauses, place, languages_of(header))


@pytest.mark.parametrize(
    ("place", "header", "clause", "language"),
    [
        ("JP", "ja-JP,ja;q=0.9,en;q=0.5", "notice-jp.ja", "ja"),
        ("JP", "en,ja;q=0.9", "notice-jp", "en"),
        ("JP", "de", "notice-jp", "en"),
        ("JP", "", "notice-jp", "en"),
        ("EU", "fr-CH, de;q=0.9", "notice-eu.fr", "fr"),
        ("EU", "fr;q=0.1, de;q=0.9", "notice-eu.de", "de"),
        ("EU", "de;q=0", "notice-eu", "en"),
        ("EU", "en ; q=0.1, de ;q=0.2", "notice-eu.de", "de"),
        ("US-CA", "es-MX", "notice-us-ca.es", "es"),
        ("XX", "ja", "notice-zz", "en"),
    ],
)
def test_a_notice_is_of_the_place_and_in_the_readers_language(place, header, clause, language):
    """The first language that the notice of that law has; English else; an unknown place has the strictest law's."""
    found = notice(place, header)

    assert (found.id, found.language) == (clause, language)
    assert found.sha256 == sha256_digest((ROOT / f"legal/clauses/{clause}.md").read_bytes())


@pytest.mark.parametrize("header", ["*", "e", "../../etc", "en-", ";q=1", "ja;q=2", "é", "x" * 2_000, ",,,", "ja;q=.5"])
def test_a_header_that_cannot_be_read_is_english(header):
    """What a browser sends chooses among texts, and does nothing else."""
    assert notice("JP", header).id == "notice-jp"


def test_every_translation_is_of_a_notice():
    """A file that no law names would be shown to nobody."""
    translated = [clause for clause in SOURCES.clauses.values() if "." in clause.id]

    assert len(translated) >= 4
    assert all(clause.id.partition(".")[0] in SOURCES.clauses for clause in translated)
