"""The categories are spelt once; every other place that must spell one by itself is listed here, with why."""

import re
from pathlib import Path

import pytest

from consent_core.formats.consent import RETENTION_S
from consent_core.formats.refusals import LETTERS
from consent_core.formats.token import CATEGORIES

ROOT = Path(__file__).parents[2]
SPELT = re.compile(r"""["']experimental["']""")
SOURCES = (
    "builder", "consent_core", "consent_sdk", "control_plane", "device_agent", "edge_cli", "fleet", "functions",
    "latency_gate", "runtime_host", "simulator", "witness",
)  # fmt: skip
SUFFIXES = {".py", ".js", ".ts", ".toml"}
NOT_OURS = {"tests", "node_modules", "build"}

PLACES = {
    "consent_core/decision/signals.py": "the arm belongs to one category",
    "consent_core/formats/catalogue.py": "an experiment belongs to one category",
    "consent_core/formats/consent.py": "seconds of each category",
    "consent_core/formats/refusals.py": "a letter of each category",
    "consent_core/formats/token.py": "where they are defined",
    "consent_core/decision/grant.py": "what an older policy may no longer allow",
    "consent_sdk/consent-edge.d.ts": "a type, for editors",
    "consent_sdk/lib/categories.js": "where the page's module defines them",
    "control_plane/consent/receipts.py": "what is done under each category",
    "control_plane/dsar/answering.py": "what each category is for",
    "control_plane/store/migrations/versions/r0005_numbered_changes.py": "the three that there were then",
    "functions/edge_http/deciding.py": "the arm belongs to one category",
    "functions/edge_http/function.toml": "what this component decides",
    "functions/personalization/function.toml": "what this component decides",
    "latency_gate/propagation.py": "the policies that it publishes switch this one",
    "latency_gate/replay.py": "the arm belongs to one category",
    "runtime_host/pop/evidence/gathering.py": "the categories that keep history",
    "runtime_host/pop/serving/pipeline.py": "the arm belongs to one category",
    "runtime_host/pop/serving/routes/measures.py": "the arm belongs to one category",
    "runtime_host/pop/stores/history.py": "totals belong to one category",
}


def test_every_place_that_spells_a_category_is_listed():
    """Another list of categories somewhere is noticed here: it derives from `CATEGORIES`, or is added with its why."""
    files = (path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES)
    ours = (path for path in files if path.is_file() and not NOT_OURS & set(path.relative_to(ROOT).parts))
    spelling = {str(path.relative_to(ROOT)) for path in ours if SPELT.search(path.read_text("utf-8"))}

    assert spelling == PLACES.keys()


def test_every_table_by_category_has_each_of_them():
    """How long each is kept, and its letter in `consent-no`; the letter of learning waits for its choice."""
    assert tuple(RETENTION_S) == CATEGORIES
    assert tuple(LETTERS.values()) == (*CATEGORIES, "learning")


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("wit/world.wit", r"enum category \{ ([^}]+) \}"),
        ("policies/consent_edge/consent/consent.rego", r"categories := \[([^\]]+)\]"),
        ("consent_sdk/lib/categories.js", r"CATEGORIES = (.*);"),
        ("consent_sdk/consent-edge.d.ts", r"type Category = ([^;]*);"),
    ],
)
def test_other_languages_name_the_same_categories(file, found):
    """The component's enum, the policy's list, the page's module and its types: the same words in the same order."""
    listed = re.search(found, (ROOT / file).read_text("utf-8"))[1]

    assert tuple(word for word in re.findall(r"[a-z]+", listed) if word not in ("bject", "freeze")) == CATEGORIES


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_a_clause_and_words_in_every_language(category):
    """What a person reads before switching it on: the clause, and the panel's title and text."""
    assert (ROOT / f"legal/clauses/category-{category}.md").exists()
    for language in (ROOT / "consent_sdk/lang").glob("*.js"):
        assert f"  {category}: [" in language.read_text("utf-8"), language.name
