"""Where a component came from, as SLSA provenance in an in-toto statement, signed by a component key.

It says no more than the signed manifest does: sources, lock file and tools by digest and version, and the steps that
finished the component. A holder of the signing key could say anything, so this is SLSA Build level 1, and level 2
where the key is a build service's.

Source: slsa.dev/spec/v1.0/provenance.
"""

from dataclasses import dataclass
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.dsse import IN_TOTO, Signer, Statement, Verifier, open_statement, sign_statement
from consent_core.formats.manifest import ROLE, ComponentManifest

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:consent-edge:build:v1"
BUILDER = "urn:consent-edge:builder:v1"
SBOM_NAME = "sbom.cdx.json"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What it names beside the component: the digest of its bill of materials, and the version it was pushed as."""

    sbom: str
    version: str


def sign_provenance(manifest: ComponentManifest, named: Provenance, signer: Signer) -> bytes:
    """The DSSE envelope. It signs the bill of materials and the version too."""
    statement = Statement({manifest.wasm_file: manifest.component}, PREDICATE_TYPE, _predicate(manifest, named))
    return sign_statement(IN_TOTO, statement.to_bytes(), signer)


def open_provenance(
    envelope: bytes, manifest: ComponentManifest, trust: Verifier, now: int, revoked: frozenset[str]
) -> Provenance:
    """What the envelope says, if a trusted key says in it that our builder made this component.

    Trusted at `now` (Unix seconds), by a key that is not among the `revoked`.

    Raises: Untrusted("deploy-provenance").
    """
    try:
        payload = open_statement(envelope, IN_TOTO, trust, ROLE, now, revoked)
        statement = Statement.from_bytes(payload, PREDICATE_TYPE)
    except Untrusted as error:
        raise Untrusted("deploy-provenance", f"{error.message} ({error.code})") from error
    if statement.subjects != {manifest.wasm_file: manifest.component}:
        raise Untrusted("deploy-provenance", "the provenance is about another component")
    try:
        builder = statement.predicate["runDetails"]["builder"]["id"]
        products = {
            entry["name"]: entry["digest"]["sha256"] for entry in statement.predicate["runDetails"]["byproducts"]
        }
        sbom = f"sha256:{products[SBOM_NAME]}"
        version = statement.predicate["buildDefinition"]["externalParameters"]["version"]
    except (KeyError, TypeError) as error:
        message = "the provenance names no builder, no version or no bill of materials"
        raise Untrusted("deploy-provenance", message) from error
    if builder != BUILDER:
        raise Untrusted("deploy-provenance", f"expected it to be built by {BUILDER}")
    return Provenance(sbom, str(version))


def _predicate(manifest: ComponentManifest, named: Provenance) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"function": manifest.name, "version": named.version, "world": manifest.world},
            "internalParameters": {
                "limits": {"memory_mib": manifest.limits.memory_mib, "deadline_ms": manifest.limits.deadline_ms},
                "steps": list(manifest.steps),
            },
            "resolvedDependencies": _dependencies(manifest),
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": dict(manifest.tools)},
            "byproducts": [_resource(SBOM_NAME, named.sbom)],
        },
    }  # fmt: skip


def _dependencies(manifest: ComponentManifest) -> list[dict[str, Any]]:
    files = [_resource(path, digest) for path, digest in sorted(manifest.sources.items())]
    return files + ([_resource("requirements.lock", manifest.lock)] if manifest.lock else [])


def _resource(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
