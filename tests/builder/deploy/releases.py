"""Small real components, signed: what takes a minute with an interpreter inside takes milliseconds without."""

import subprocess
import sys
from pathlib import Path

from builder.cache import digest_of
from consent_core.formats.manifest import ComponentManifest, Limits, sign_manifest
from consent_core.trust.keys import KeyStore

HTTP_EXPORT = "wasi:http/incoming-handler@0.2.0"
PERSONALIZATION = "consent-edge:functions/personalization@0.1.0"


def wat(exports=(HTTP_EXPORT,), imports=(), note=""):
    """A component of empty interfaces: it has a surface and no code."""
    asked = "".join(f'(import "{name}" (instance))' for name in imports)
    given = "".join(f'(instance $i{n}) (export "{name}" (instance $i{n}))' for n, name in enumerate(exports))
    return f'(component {asked} {given} (core module (data "{note}")))'


def assemble(text: str, path: Path) -> Path:
    """WAT to a component file."""
    tool = Path(sys.executable).parent / "wasm-tools"
    subprocess.run([tool, "parse", "-o", path, "-"], input=text, text=True, check=True)
    return path


def make_release(
    directory: Path,
    store: KeyStore,
    *,
    name="edge_http",
    world="edge-http",
    exports=(HTTP_EXPORT,),
    imports=(),
    said_imports=None,
    sources=None,
    note="",
) -> Path:
    """A component folder as a build leaves it. `said_imports`: what the manifest claims, where it lies."""
    place = directory / name
    place.mkdir(parents=True)
    component = assemble(wat(exports, imports, note), place / f"{name}.wasm")
    (place / f"{name}.cwasm").write_bytes(b"native code of " + name.encode() + note.encode())
    manifest = ComponentManifest(
        name=name,
        world=world,
        component=digest_of(component),
        compiled=digest_of(place / f"{name}.cwasm"),
        engine="none",
        imports=tuple(sorted(imports if said_imports is None else said_imports)),
        exports=tuple(sorted(exports)),
        category=("contextual",),
        limits=Limits(64, 250),
        sources=sources or {},
        lock="",
        tools={"componentize-py": "0.25.1"},
    )
    (place / "manifest.json").write_bytes(manifest.to_bytes())
    (place / "manifest.sig").write_bytes(sign_manifest(manifest, store.current("component")))
    return place
