"""What is inside a component, as a CycloneDX bill of materials: source files, Python packages, and the tools.

The same component always gives the same bytes: the serial number is made of its digest, and there is no time in it.

Source: cyclonedx.org, specification 1.6.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from builder.source import find_function, roots
from consent_core.errors import Rejected
from consent_core.formats.canonical import canonical_json, sha256_digest
from consent_core.formats.manifest import ComponentManifest

INTERPRETER = "componentize-py"  # what it puts into the guest beside our files: CPython and its standard library


def bill_of_materials(manifest: ComponentManifest, dependencies: tuple[str, ...]) -> bytes:
    """CycloneDX 1.6 JSON. `dependencies`: the guest's Python packages as `name==version`."""
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, manifest.component))
    bom.metadata.component = _file(ComponentType.APPLICATION, manifest.name, manifest.component)
    bom.metadata.component.version = manifest.component.removeprefix("sha256:")[:12]
    for tool, version in manifest.tools.items():
        bom.metadata.tools.components.add(_package(ComponentType.APPLICATION, tool, version))
    for component in _inside(manifest, dependencies):
        bom.components.add(component)
        bom.register_dependency(bom.metadata.component, [component])
    value = json.loads(JsonV1Dot6(bom).output_as_string())
    del value["metadata"]["timestamp"]
    return canonical_json(value)


def dependencies_of(manifest: ComponentManifest, root: Path) -> tuple[str, ...]:
    """The Python packages inside, from the very `function.toml` files it was built from.

    Raises: Rejected("deploy-sources") if those are no longer here.
    """
    found: list[str] = []
    for name in sorted({path.split("/")[1] for path in manifest.sources if path.endswith("/function.toml")}):
        function = find_function(name, roots(root))
        if sha256_digest(function.toml) != manifest.sources[f"functions/{name}/function.toml"]:
            raise Rejected(
                "deploy-sources", f"functions/{name} has changed since {manifest.name} was built; build again"
            )
        found += function.dependencies
    return tuple(dict.fromkeys(found))


def _inside(manifest: ComponentManifest, dependencies: tuple[str, ...]) -> Iterator[Component]:
    for path, digest in sorted(manifest.sources.items()):
        yield _file(ComponentType.FILE, path, digest)
    for entry in dependencies:
        name, _, version = entry.partition("==")
        yield _package(ComponentType.LIBRARY, name, version)
    if any(path.endswith("/app.py") for path in manifest.sources):
        runtime = _package(ComponentType.LIBRARY, INTERPRETER, manifest.tools[INTERPRETER])
        runtime.description = "the CPython interpreter and standard library that this version carries"
        yield runtime


def _file(kind: ComponentType, name: str, digest: str) -> Component:
    return Component(
        type=kind,
        name=name,
        bom_ref=f"{kind.value}:{name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))],
    )


def _package(kind: ComponentType, name: str, version: str) -> Component:
    purl = PackageURL("pypi", None, name.lower().replace("_", "-"), version)
    return Component(type=kind, name=name, version=version, purl=purl, bom_ref=f"{kind.value}:{purl}")
