"""Policy bundles: OPA's format with the evaluated table, signed, named by their policy hash.

    bundle = open_bundle(data, trust, now, revoked, min_revision=41)
    bundle.hash, bundle.revision, bundle.table

Wire format: `docs/formats/policy-bundle.md`. Opening judges only; which bundle stays in force when one is refused
is the caller's decision (keep the last good one).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.dsse import Signer
from consent_core.policy.approval import APPROVAL, Approval, open_approval, sign_approval
from consent_core.policy.archive import pack, unpack
from consent_core.policy.clauses import Clause, read_clause
from consent_core.policy.rego import DATA_FILE, MAX_DATA_BYTES, Rego, modules_of
from consent_core.policy.signature import SIGNATURES, Trust, file_digests, lines_digest, sign_files, verify_files
from consent_core.policy.table import PolicyTable

MANIFEST = ".manifest"
ROOTS = ("consent_edge", "personalization")
REGO_VERSION = 1
MAX_PREVIOUS = 256

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REVISION = re.compile(r"[1-9][0-9]{0,14}")
_PACKAGE = re.compile(r"package[ \t]+([a-z][a-z0-9_.]*)[ \t]*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `previous`: hashes of earlier policies, newest first. `settings`: brand limits."""

    hash: str
    revision: int
    previous: tuple[str, ...]
    table: PolicyTable = field(repr=False)
    clauses: Mapping[str, Clause] = field(repr=False)
    settings: Mapping[str, Any] = field(repr=False)
    approval: Approval
    files: Mapping[str, bytes] = field(repr=False)

    def rego(self) -> Rego:
        """The bundle's rules, compiled."""
        return Rego(self.files)


@dataclass(frozen=True, slots=True)
class Approver:
    """Who publishes, under which clause, when (Unix seconds)."""

    name: str
    clause_id: str
    at: int


def policy_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 over lines `<hex>  <path>`, sorted by path, of every file but the signatures; as `sha256:<hex>`."""
    return lines_digest(file_digests(files))


def subject_digest(files: Mapping[str, bytes]) -> str:
    """What an approval is about: the same digest without the approval."""
    return lines_digest({path: digest for path, digest in file_digests(files).items() if path != APPROVAL})


def build_bundle(
    files: Mapping[str, bytes], revision: int, signer: Signer, approver: Approver, previous: Sequence[str] = ()
) -> bytes:
    """A signed bundle of Rego modules and `data.json` (path -> content).

    Args: revision: ≥ 1, never lower than any before.  previous: earlier policy hashes, newest first.
    Raises: ValueError for an unknown clause or content that is not canonical.
    """
    contents = {**files, MANIFEST: _manifest(revision, previous)}
    contents[DATA_FILE] = canonical_json(read_json_object(contents[DATA_FILE], MAX_DATA_BYTES))
    clause = _clauses(read_json_object(contents[DATA_FILE], MAX_DATA_BYTES)).get(approver.clause_id)
    if clause is None:
        raise ValueError(f"no clause {approver.clause_id}")
    approval = Approval(clause.id, clause.sha256, approver.name, subject_digest(contents), approver.at)
    contents[APPROVAL] = sign_approval(approval, signer)
    contents[SIGNATURES] = sign_files(contents, signer, approver.at)
    return pack(contents)


def open_bundle(
    data: bytes,
    trust: Trust,
    now: int,
    revoked: frozenset[str],
    *,
    min_revision: int,
    current_hash: str | None = None,
) -> Bundle:
    """Verify a bundle completely. Steps in order; nothing is interpreted before its signature is checked.

    The key must be valid at `now` (Unix seconds) and not be among the `revoked`; the approver's, at the time of the
    approval. `min_revision`: the revision in force (0 if none); `current_hash`: its hash, so that one revision is
    never two policies. Raises: Untrusted(bundle-…).
    """
    # 1. the archive: sizes, paths, kinds of entries, duplicates
    files = unpack(data)
    # 2. the signature over every file
    verify_files(files, trust, now, revoked)
    # 3. the manifest, what it governs, and that time does not run backwards
    revision, previous = _read_manifest(files)
    _check_roots(files)
    found = policy_hash(files)
    _check_revision(revision, found, min_revision, current_hash)
    # 4. the content
    content = _content(files)
    table, clauses = PolicyTable.from_value(content.get("table")), _clauses({"consent_edge": content})
    _check_clauses(table, clauses)
    approval = _approval(files, clauses, trust, revoked)
    return Bundle(found, revision, previous, table, clauses, _settings(content), approval, files)


def _manifest(revision: int, previous: Sequence[str]) -> bytes:
    if revision < 1:
        raise ValueError("revisions start at 1")
    return canonical_json(
        {
            "revision": str(revision),
            "roots": list(ROOTS),
            "rego_version": REGO_VERSION,
            "metadata": {"previous": list(previous)[:MAX_PREVIOUS]},
        }
    )


def _read_manifest(files: Mapping[str, bytes]) -> tuple[int, tuple[str, ...]]:
    manifest = _json(files, MANIFEST, "bundle-manifest")
    revision, metadata = manifest.get("revision"), manifest.get("metadata")
    previous = metadata.get("previous") if isinstance(metadata, dict) else None
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        raise Untrusted("bundle-manifest", "expected a whole number as revision")
    if not isinstance(previous, list) or not all(isinstance(h, str) and _DIGEST.fullmatch(h) for h in previous):
        raise Untrusted("bundle-manifest", "expected the previous policy hashes")
    if manifest.get("rego_version") != REGO_VERSION:
        raise Untrusted("bundle-manifest", f"expected Rego version {REGO_VERSION}")
    if manifest.get("roots") != list(ROOTS):
        raise Untrusted("bundle-roots", f"expected the roots {', '.join(ROOTS)}")
    return int(revision), tuple(previous)


def _check_roots(files: Mapping[str, bytes]) -> None:
    """Every module's package is its folder, and modules and data stay below the roots."""
    for path, source in modules_of(files).items():
        package = path.rpartition("/")[0].replace("/", ".")
        if package.split(".")[0] not in ROOTS or _package(source) != package:
            raise Untrusted("bundle-roots", f"{path}: expected a package that is its folder, below the roots")
    outside = _json(files, DATA_FILE, "bundle-table").keys() - set(ROOTS)
    if outside:
        raise Untrusted("bundle-roots", f"data outside the roots: {', '.join(sorted(outside))}")


def _package(source: str) -> str | None:
    """The package a module declares; its first line that is neither empty nor a comment must say it."""
    for line in source.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            match = _PACKAGE.fullmatch(line.strip())
            return match.group(1) if match else None
    return None


def _check_revision(revision: int, found: str, min_revision: int, current_hash: str | None) -> None:
    if revision < min_revision:
        raise Untrusted("bundle-revision", f"revision {revision} is older than {min_revision}")
    if revision == min_revision and current_hash is not None and found != current_hash:
        raise Untrusted("bundle-revision", f"revision {revision} is already another policy")


def _content(files: Mapping[str, bytes]) -> dict[str, Any]:
    content = _json(files, DATA_FILE, "bundle-table").get("consent_edge")
    if not isinstance(content, dict) or "table" not in content:
        raise Untrusted("bundle-table", "no decision table")
    return content


def _clauses(data: Mapping[str, Any]) -> dict[str, Clause]:
    found = data.get("consent_edge", {}).get("clauses")
    if not isinstance(found, dict):
        raise Untrusted("bundle-clause", "no clauses")
    return {clause_id: read_clause(clause_id, markdown) for clause_id, markdown in found.items()}


def _check_clauses(table: PolicyTable, clauses: Mapping[str, Clause]) -> None:
    """Every text that a rule or law shows people is in the bundle."""
    named = {rule.clause for rule in table.rules.values()} | {law.notice for law in table.laws.values()}
    missing = sorted(named - clauses.keys())
    if missing:
        raise Untrusted("bundle-clause", f"missing: {', '.join(missing)}")


def _approval(
    files: Mapping[str, bytes], clauses: Mapping[str, Clause], trust: Trust, revoked: frozenset[str]
) -> Approval:
    if APPROVAL not in files:
        raise Untrusted("bundle-approval", "nobody approved this policy")
    approval = open_approval(files[APPROVAL], trust, revoked)
    clause = clauses.get(approval.clause_id)
    if clause is None or clause.sha256 != approval.clause_sha256:
        raise Untrusted("bundle-approval", "approved under other words")
    if approval.subject_digest != subject_digest(files):
        raise Untrusted("bundle-approval", "the approval is for another policy")
    return approval


def _settings(content: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = content.get("settings", {})
    if not isinstance(settings, dict):
        raise Untrusted("bundle-table", "settings: expected an object")
    return settings


def _json(files: Mapping[str, bytes], path: str, code: str) -> dict[str, Any]:
    if path not in files:
        raise Untrusted(code, f"{path} is missing")
    try:
        return read_json_object(files[path], MAX_DATA_BYTES)
    except Untrusted as error:
        raise Untrusted(code, f"{path}: {error.message}") from error
