"""What `edge release` does: templates from built components, releases of a data directory, offline verification."""

import ast
from pathlib import Path
from typing import Any

from consent_core.clock import SystemClock
from consent_core.errors import Unavailable, Untrusted
from consent_core.formats.base64_text import read_base64
from consent_core.formats.release import Release, open_release, require_newer
from consent_core.policy.sources import read_sources
from consent_core.resources import resource
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import NO_LOG, TrustFile
from control_plane.registry.baking import Template, read_component, unpack, verify
from control_plane.registry.learning import learn
from control_plane.registry.releases import RELEASE_FILE, WEIGHTS_FILE, Approved, Made, Releases
from control_plane.settings import Settings
from control_plane.store.database import Database

MODELS = ("behavioral", "contextual")
CLAUSE = "policy-approval"


def releases_of(data: Path) -> Releases:
    """The releases of a data directory."""
    return Releases(data / "control-plane" / "releases", KeyStore.open(data), SystemClock())


def publish(data: Path, folder: Path, weights: Path, approver: str) -> Release:
    """Bake a file of signed bytes into a built component. Raises: Rejected, Untrusted, Unavailable."""
    made = Made.of_bytes(unpack(weights.read_bytes(), MODELS))
    return releases_of(data).publish(template_of(folder), made, _approved(approver))


def learned(data: Path, folder: Path, approver: str, database_url: str | None) -> Release:
    """What follows from the updates in the control plane's store. Raises: Rejected("release-empty")."""
    database = Database.open(Settings(data=data, database_url=database_url).store_url)
    try:
        return learn(database, releases_of(data), template_of(folder), seed_weights(), _approved(approver))
    finally:
        database.close()


def revert(data: Path, folder: Path, to: str, approver: str) -> Release:
    """An older release's weights under a new epoch."""
    return releases_of(data).roll_forward(to, template_of(folder), _approved(approver))


def verified(data: Path, folder: Path, template: Path | None, highest: int) -> Release:
    """Open a release, bake it again offline and compare every byte; from its own files, or from another component."""
    release = opened(data, folder)
    require_newer(release, highest, SystemClock().now())
    weights = unpack((folder / WEIGHTS_FILE).read_bytes(), release.models)
    for source in (folder, *(() if template is None else (template,))):
        _, component, compiled = read_component(source)
        verify(release, component, compiled, weights)
    return release


def opened(data: Path, folder: Path) -> Release:
    """The release in a folder, signature checked. Raises: Unavailable("release-unreadable"), Untrusted."""
    try:
        envelope = (folder / RELEASE_FILE).read_bytes()
    except OSError as error:
        raise Unavailable("release-unreadable", f"{folder}: {error.strerror}") from error
    return open_release(envelope, TrustFile.load(data / "trust.json"), SystemClock().now(), NO_LOG)


def template_of(folder: Path) -> Template:
    """A component as it was built, which holds the weights of its source."""
    return Template.read(folder, seed_weights())


def seed_weights() -> dict[str, bytes]:
    """What functions/personalization/weights.py says."""
    tree = ast.parse((resource("functions") / "personalization" / "weights.py").read_text("utf-8"))
    texts = {
        str(node.targets[0].id).lower(): ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    return {model: read_base64(texts[model], _no_weights) for model in MODELS}


def shown(release: Release) -> dict[str, Any]:
    """What `edge release list` tells of one."""
    same = ("release", "epoch", "reason", "component", "weights", "expires")
    value: dict[str, Any] = {name: getattr(release, name) for name in same}
    return {**value, "parents": list(release.parents), "approver": release.approval["approver"]}


def _approved(approver: str) -> Approved:
    clauses = read_sources(resource("policies"), resource("legal")).clauses
    return Approved(approver, clauses[CLAUSE])


def _no_weights(message: str) -> Untrusted:
    return Untrusted("release-template", f"functions/personalization/weights.py: {message}")
