"""A directory of releases: `model-vYYYYMMDD.N/`, each complete, numbered and signed; epochs only rise.

    releases = Releases(Path(".edge/control-plane/releases"), keys, clock)
    made = releases.publish(template, Made.of(master, updates=digests), Approved("ann", clause))
    releases.roll_forward("model-v20270111.1", template, approved)     # older weights, higher epoch

Trust in this store: none. A reader of a release checks its signature, its digests and its epoch; who can write here
can leave releases out, which an epoch that stands still shows, and nothing else.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from consent_core.clock import Clock
from consent_core.crash import crash_point
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.days import day_of
from consent_core.formats.manifest import MANIFEST_FILE, SIGNATURE_FILE, sign_manifest
from consent_core.formats.release import NAME, Release, open_release, sign_release
from consent_core.policy.clauses import Clause
from consent_core.privacy.clipping import Floats
from consent_core.trust.files import locked, sync_directory, write_atomically
from consent_core.trust.keys import KeyStore
from control_plane.registry.baking import (
    Template,
    pack,
    pack_master,
    seed_master,
    unpack,
    unpack_master,
    verify,
    whole_bytes,
)

RELEASE_FILE: Final = "release.dsse"
WEIGHTS_FILE: Final = "weights.bin"
MASTER_FILE: Final = "master.bin"
SEED: Final = "seed"
VALID_S: Final = 400 * 86_400  # a deployment that publishes nothing for so long goes back to what it was built with


@dataclass(frozen=True, slots=True)
class Approved:
    """Who answers for a release, under which words."""

    approver: str
    clause: Clause


@dataclass(frozen=True, slots=True)
class Made:
    """What a release is made of and why: digests of updates, releases before it, the promise in numbers."""

    weights: Mapping[str, bytes]
    master: Mapping[str, Floats]
    reason: str = "learned"
    parents: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()
    privacy: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, master: Mapping[str, Floats], **more: Any) -> Self:
        """Weights that were learnt: their bytes follow."""
        return cls({model: whole_bytes(row) for model, row in master.items()}, master, **more)

    @classmethod
    def of_bytes(cls, weights: Mapping[str, bytes], **more: Any) -> Self:
        """Weights that were trained elsewhere: their master follows."""
        return cls(weights, {model: seed_master(row) for model, row in weights.items()}, **more)


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of one deployment. revoked: key ids that sign nothing any more."""

    home: Path
    keys: KeyStore
    clock: Clock
    revoked: frozenset[str] = frozenset()

    def all(self) -> list[Release]:
        """By epoch, the oldest first. Raises: Untrusted for one that does not verify."""
        names = [path.name for path in self.home.glob("model-v*") if NAME.fullmatch(path.name)]
        return sorted((self.open(name) for name in names), key=lambda release: release.epoch)

    def newest(self) -> str:
        """The name of the release of the highest epoch; "seed" before the first."""
        known = self.all()
        return known[-1].release if known else SEED

    def open(self, name: str) -> Release:
        """One release, its signature checked. Raises: Rejected("release-unknown", 404), Untrusted."""
        if not NAME.fullmatch(name) or not (self.home / name / RELEASE_FILE).is_file():
            raise Rejected("release-unknown", f"no release {name[:40]}", status=404)
        envelope = (self.home / name / RELEASE_FILE).read_bytes()
        return open_release(envelope, self.keys.trust_file(), self.clock.now(), self.revoked)

    def weights_of(self, release: Release) -> dict[str, bytes]:
        """What was baked. Raises: Untrusted("release-digest") if the file holds other bytes."""
        return unpack(self._file(release, WEIGHTS_FILE, release.weights), release.models)

    def master_of(self, release: Release) -> dict[str, Floats]:
        """What it was rounded from, and the next week is learnt at. Raises: Untrusted("release-digest")."""
        return unpack_master(self._file(release, MASTER_FILE, release.master), release.models)

    def publish(self, template: Template, made: Made, approved: Approved) -> Release:
        """Bake, sign and put in place; complete before anybody sees it."""
        self.home.mkdir(parents=True, exist_ok=True)
        with locked(self.home):
            release = self._describe(template, made, approved)
            component, compiled = template.bake(made.weights)
            release = replace(release, component=sha256_digest(component), compiled=sha256_digest(compiled))
            verify(release, template.component, template.compiled, made.weights)
            crash_point("release-baked")
            self._place(template, release, made, (component, compiled))
        return release

    def roll_forward(self, to: str, template: Template, approved: Approved, reason: str = "rollback") -> Release:
        """A new release of the highest epoch with the weights of an older one."""
        older, current = self.open(to), self.all()[-1]
        parents = tuple(dict.fromkeys((current.release, older.release)))
        weights, master = self.weights_of(older), self.master_of(older)
        made = Made(weights, master, reason, parents, older.updates, older.privacy)
        return self.publish(template, made, approved)

    def _file(self, release: Release, name: str, digest: str) -> bytes:
        data = (self.home / release.release / name).read_bytes()
        if sha256_digest(data) != digest:
            raise Untrusted("release-digest", f"{name} is not the one that was signed")
        return data

    def _describe(self, template: Template, made: Made, approved: Approved) -> Release:
        known, now = self.all(), self.clock.now()
        return Release(
            model_id=template.manifest.name,
            release=self._next_name(known, now),
            epoch=known[-1].epoch + 1 if known else 1,
            parents=made.parents or tuple(release.release for release in known[-1:]),
            updates=made.updates,
            reason=made.reason,
            models=tuple(sorted(made.weights)),
            template=template.digest,
            component="",
            compiled="",
            weights=sha256_digest(pack(made.weights)),
            master=sha256_digest(pack_master(made.master)),
            places=template.places,
            privacy=made.privacy or {},
            approval={
                "clause_id": approved.clause.id,
                "clause_sha256": approved.clause.sha256,
                "approver": approved.approver,
                "at": now,
            },
            expires=now + VALID_S,
        )

    def _next_name(self, known: list[Release], now: int) -> str:
        """`model-vYYYYMMDD.N`, N one above the day's last."""
        day = f"model-v{day_of(now).replace('-', '')}."
        numbers = [int(release.release.removeprefix(day)) for release in known if release.release.startswith(day)]
        return f"{day}{max(numbers, default=0) + 1}"

    def _place(self, template: Template, release: Release, made: Made, files: tuple[bytes, bytes]) -> None:
        manifest = replace(template.manifest, component=release.component, compiled=release.compiled)
        staged = Path(tempfile.mkdtemp(dir=self.home, prefix=".staged-"))
        try:
            (staged / manifest.wasm_file).write_bytes(files[0])
            (staged / manifest.compiled_file).write_bytes(files[1])
            write_atomically(staged / MANIFEST_FILE, manifest.to_bytes())
            write_atomically(staged / SIGNATURE_FILE, sign_manifest(manifest, self.keys.current("component")))
            write_atomically(staged / WEIGHTS_FILE, pack(made.weights))
            write_atomically(staged / MASTER_FILE, pack_master(made.master))
            write_atomically(staged / RELEASE_FILE, sign_release(release, self.keys.current("release")))
            crash_point("release-signed")
            staged.chmod(0o755)
            staged.rename(self.home / release.release)
            sync_directory(self.home)
            crash_point("release-published")
        finally:
            shutil.rmtree(staged, ignore_errors=True)
