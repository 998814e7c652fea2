"""From policy sources to the policy in force: number the revision, name what came before, publish."""

from pathlib import Path

from sqlalchemy import select

from consent_core.clock import Clock
from consent_core.errors import Rejected
from consent_core.policy.approval import APPROVAL
from consent_core.policy.bundle import MANIFEST, Approver, build_bundle
from consent_core.policy.publish import PolicyRelease, Published, publish
from consent_core.policy.signature import SIGNATURES, signer_of
from consent_core.policy.sources import Sources, read_sources
from consent_core.trust.keys import KeyStore
from control_plane.policies.current import Policies, Stored
from control_plane.store.database import Database
from control_plane.store.schema import bundles

MADE_BY_PUBLISHING = frozenset({MANIFEST, APPROVAL, SIGNATURES})
RENEWED = ", signed again by the control plane"
MAX_PREVIOUS = 32  # policy hashes a bundle names as its forerunners
FIRST_APPROVER = "control-plane/first-start"


def publish_sources(
    policies: Policies, database: Database, keys: KeyStore, sources: Sources, approver: str, at: int
) -> tuple[Stored, Published]:
    """Test, evaluate, sign and put in force. Raises: as `publish` and `Policies.publish`."""
    newest = select(bundles.c.revision, bundles.c.hash).order_by(bundles.c.revision.desc()).limit(MAX_PREVIOUS)
    with database.read() as connection:
        before = connection.execute(newest).all()
    release = PolicyRelease(
        revision=before[0].revision + 1 if before else 1,
        approver=approver,
        at=at,
        previous=tuple(row.hash for row in before),
    )
    published = publish(sources, keys.current("bundle"), keys.trust_file(), release)
    return policies.publish(published.data), published


def renew(policies: Policies, keys: KeyStore, clock: Clock) -> None:
    """Publish what is in force again, as the next revision, if another key than the current one signed it.

    So nothing that POPs must open stays signed by a key that was rotated out or revoked. Who approved it still did;
    the approval says that the control plane signed it again.
    """
    bundle, signer = policies.in_force().bundle, keys.current("bundle")
    if signer_of(bundle.files) == signer.kid:
        return
    content = {path: data for path, data in bundle.files.items() if path not in MADE_BY_PUBLISHING}
    approver = Approver(
        bundle.approval.approver.removesuffix(RENEWED) + RENEWED, bundle.approval.clause_id, clock.now()
    )
    previous = (bundle.hash, *bundle.previous)[:MAX_PREVIOUS]
    policies.publish(build_bundle(content, bundle.revision + 1, signer, approver, previous))


def publish_first(policies: Policies, database: Database, keys: KeyStore, sources: tuple[Path, Path], at: int) -> None:
    """Publish the sources (policies, legal) if nothing ever was. Two starts at once: the first one's stays."""
    with database.read() as connection:
        if connection.scalar(select(bundles.c.revision).limit(1)) is not None:
            return
    try:
        publish_sources(policies, database, keys, read_sources(*sources), FIRST_APPROVER, at)
    except Rejected as error:
        if error.code != "policy-revision":
            raise
