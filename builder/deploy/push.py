"""A package to a registry: what refers to the component goes last, so nothing points at what is not there."""

from collections.abc import Callable

from builder.deploy.artefact import Package
from builder.deploy.reference import Reference
from builder.deploy.registry import Registry
from consent_core.errors import Rejected


def push(
    package: Package,
    reference: Reference,
    registry: Registry,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Reference:
    """Push everything and return the reference by digest. Pushing the same release again changes nothing.

    Raises: Rejected("deploy-…"), Unavailable("deploy-registry").
    """
    if reference.digest not in (None, package.component.digest) or reference.tag is None:
        raise Rejected("deploy-reference", "push to a tag, host/name:tag; the digest follows from what is pushed")
    reference.check_version()
    total = 1 + len(package.referrers)
    progress(0, total)
    registry.push_artefact(package.component, reference.tag)
    for done, referrer in enumerate(package.referrers, 1):
        progress(done, total)
        registry.push_artefact(referrer)
    progress(total, total)
    return reference.at(package.component.digest)
