"""The component manifest: what a built function is, byte for byte, and the statement that signs it.

    manifest.json    canonical JSON: digests, world, imports, exports, limits, sources, lock, tool versions, steps
    manifest.sig     DSSE envelope around an in-toto statement over manifest.json, <name>.wasm and <name>.cwasm

Wire format: `docs/formats/component-manifest.md`. Reading the files and hashing them is the loader's part.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from consent_core.errors import Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object, sha256_digest
from consent_core.formats.dsse import IN_TOTO, Signer, Statement, Verifier, open_statement, sign_statement
from consent_core.formats.token import CATEGORIES

MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.sig"
VERSION = 1
ROLE = "component"
PREDICATE_TYPE = "urn:consent-edge:component:v1"
MAX_BYTES = 1_048_576
MEMORY_MIB = range(13, 4097)  # a Python guest starts with 12.3 MiB; 4 GiB is what wasm32 can address
DEADLINE_MS = range(1, 60_001)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FIELDS = frozenset({"version", "name", "world", "component", "compiled", "engine", "imports", "exports"}) | frozenset(
    {"category", "limits", "sources", "lock", "tools", "steps"}
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use: linear memory (MiB) and wall time per call (ms)."""

    memory_mib: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class ComponentManifest:
    """A built component. `component` and `compiled` are the digests of `<name>.wasm` and `<name>.cwasm`.

    `world`: the finished component's. `engine`: what the `.cwasm` was compiled for. `category`: whose signals it may
    see. `sources` (path -> digest), `lock` (digest of the lock file, "" without one) and `tools` (name -> version)
    say what it was made from: builds are not reproducible byte for byte, so this is signed with the result. `steps`:
    what was done to it after componentize-py, in order.
    """

    name: str
    world: str
    component: str
    compiled: str
    engine: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    category: tuple[str, ...]
    limits: Limits
    sources: Mapping[str, str]
    lock: str
    tools: Mapping[str, str]
    steps: tuple[str, ...] = ()

    @property
    def wasm_file(self) -> str:
        """File name of the component."""
        return f"{self.name}.wasm"

    @property
    def compiled_file(self) -> str:
        """File name of the native code."""
        return f"{self.name}.cwasm"

    def to_bytes(self) -> bytes:
        """Canonical JSON; `from_bytes(m.to_bytes()) == m`."""
        return canonical_json({"version": VERSION, **asdict(self)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "ComponentManifest":
        """Parse `manifest.json`. Raises: Untrusted("component-manifest" | "json-malformed")."""
        return _read(read_json_object(data, MAX_BYTES))


def sign_manifest(manifest: ComponentManifest, signer: Signer) -> bytes:
    """The content of `manifest.sig`."""
    statement = Statement(_subjects(manifest), PREDICATE_TYPE, {"name": manifest.name, "world": manifest.world})
    return sign_statement(IN_TOTO, statement.to_bytes(), signer)


def open_manifest(
    data: bytes, envelope: bytes, trust: Verifier, now: int, revoked: frozenset[str]
) -> ComponentManifest:
    """The manifest in `data`, if `envelope` is a trusted signature over exactly it and the files it names.

    Trusted at `now` (Unix seconds), by a key that is not among the `revoked`.

    Raises: Untrusted("dsse-…", "statement-…", "trust-…", "component-manifest" | "component-statement").
    """
    payload = open_statement(envelope, IN_TOTO, trust, ROLE, now, revoked)
    statement = Statement.from_bytes(payload, PREDICATE_TYPE)
    if statement.subjects.get(MANIFEST_FILE) != sha256_digest(data):
        raise Untrusted("component-statement", f"{SIGNATURE_FILE} is about another {MANIFEST_FILE}")
    manifest = ComponentManifest.from_bytes(data)
    if statement.subjects != _subjects(manifest):
        raise Untrusted("component-statement", f"{SIGNATURE_FILE} and {MANIFEST_FILE} name different files")
    return manifest


def _subjects(manifest: ComponentManifest) -> dict[str, str]:
    return {
        MANIFEST_FILE: sha256_digest(manifest.to_bytes()),
        manifest.wasm_file: manifest.component,
        manifest.compiled_file: manifest.compiled,
    }


def _read(value: dict[str, Any]) -> ComponentManifest:
    _require(value.keys() == _FIELDS and value["version"] == VERSION, f"expected version {VERSION} and its fields")
    name, lock = _text(value["name"], "name"), _text(value["lock"], "lock")
    _require(bool(_NAME.fullmatch(name)), "name: lower case, digits and underscores")
    _require(not lock or bool(_DIGEST.fullmatch(lock)), "lock: a digest or nothing")
    category = _texts(value["category"], "category")
    _require(set(category) <= set(CATEGORIES), f"category: from {', '.join(CATEGORIES)}")
    sources = _mapping(value["sources"], "sources")
    return ComponentManifest(
        name=name,
        world=_text(value["world"], "world"),
        component=_digest(value["component"], "component"),
        compiled=_digest(value["compiled"], "compiled"),
        engine=_text(value["engine"], "engine"),
        imports=_texts(value["imports"], "imports"),
        exports=_texts(value["exports"], "exports"),
        category=category,
        limits=_limits(value["limits"]),
        sources={path: _digest(digest, "sources") for path, digest in sources.items()},
        lock=lock,
        tools=_mapping(value["tools"], "tools"),
        steps=_texts(value["steps"], "steps"),
    )


def _limits(value: Any) -> Limits:
    _require(isinstance(value, dict) and value.keys() == {"memory_mib", "deadline_ms"}, "limits")
    return Limits(
        _within(value["memory_mib"], MEMORY_MIB, "memory_mib"),
        _within(value["deadline_ms"], DEADLINE_MS, "deadline_ms"),
    )


def _within(value: Any, span: range, name: str) -> int:
    _require(type(value) is int and value in span, f"{name}: expected {span.start} to {span.stop - 1}")
    return int(value)


def _mapping(value: Any, name: str) -> dict[str, str]:
    _require(isinstance(value, dict), f"{name}: expected an object")
    return {key: _text(text, name) for key, text in value.items()}


def _texts(value: Any, name: str) -> tuple[str, ...]:
    _require(isinstance(value, list), f"{name}: expected a list")
    return tuple(_text(text, name) for text in value)


def _text(value: Any, name: str) -> str:
    _require(isinstance(value, str) and len(value) <= 1024, f"{name}: expected a string")
    return str(value)


def _digest(value: Any, name: str) -> str:
    text = _text(value, name)
    _require(bool(_DIGEST.fullmatch(text)), f"{name}: expected sha256:<hex>")
    return text


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Untrusted("component-manifest", f"not a component manifest: {message}")
