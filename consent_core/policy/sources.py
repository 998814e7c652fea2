"""What a policy is made from: Rego with its tests and settings under `policies/`, clauses under `legal/clauses/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.policy.clauses import Clause, read_clause
from consent_core.policy.rego import DATA_FILE, MAX_DATA_BYTES, TEST_SUFFIX


@dataclass(frozen=True, slots=True)
class Sources:
    """Modules and tests by path below `policies/`, the data they read, and the clauses by id."""

    modules: Mapping[str, str]
    tests: Mapping[str, str]
    data: Mapping[str, Any]
    clauses: Mapping[str, Clause]

    def files(self, table: Mapping[str, Any]) -> dict[str, bytes]:
        """The content of a bundle: modules, and one `data.json` with settings, clauses and the evaluated table."""
        content = {
            "settings": self.data["consent_edge"]["settings"],
            "clauses": {clause.id: clause.markdown for clause in self.clauses.values()},
            "table": table,
        }
        modules = {path: source.encode("utf-8") for path, source in self.modules.items()}
        return {**modules, DATA_FILE: canonical_json({"consent_edge": content})}


def read_sources(policies: Path, legal: Path, settings: Mapping[str, Any] | None = None) -> Sources:
    """Read both folders. `settings` replaces entries of `consent_edge.settings`, such as `trust_domain`.

    Raises: Rejected("policy-sources").
    """
    try:
        rego = {
            path.relative_to(policies).as_posix(): path.read_text("utf-8") for path in sorted(policies.rglob("*.rego"))
        }
        data = read_json_object((policies / DATA_FILE).read_bytes(), MAX_DATA_BYTES)
        clauses = [read_clause(path.stem, path.read_text("utf-8")) for path in sorted((legal / "clauses").glob("*.md"))]
        own = data["consent_edge"]["settings"]
    except (OSError, UnicodeDecodeError, Untrusted, KeyError, TypeError) as error:
        raise Rejected("policy-sources", f"cannot read the policy sources: {error}", status=422) from error
    return Sources(
        modules={path: source for path, source in rego.items() if not path.endswith(TEST_SUFFIX)},
        tests={path: source for path, source in rego.items() if path.endswith(TEST_SUFFIX)},
        data={"consent_edge": {"settings": {**own, **(settings or {})}}},
        clauses={clause.id: clause for clause in clauses},
    )
