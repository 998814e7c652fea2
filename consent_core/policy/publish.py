"""From policy sources to a signed bundle: test, refuse, evaluate, approve, sign, and read it back.

    published = publish(read_sources(Path("policies"), Path("legal")), store.current("bundle"), trust, release)

Publishing is pure but for the engine's process: storing the bundle, and numbering revisions, is the control plane's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from consent_core.errors import Rejected
from consent_core.formats.dsse import Signer
from consent_core.policy.bundle import Approver, Bundle, build_bundle, open_bundle
from consent_core.policy.evaluation import Evaluation, evaluate
from consent_core.policy.learning import read_learning
from consent_core.policy.signature import Trust
from consent_core.policy.sources import Sources
from consent_core.trust.trust_file import NO_LOG

APPROVAL_CLAUSE = "policy-approval"


@dataclass(frozen=True, slots=True)
class PolicyRelease:
    """What this publication is: its number, who approves it under which clause, when, and the hashes before it."""

    revision: int
    approver: str
    at: int
    clause_id: str = APPROVAL_CLAUSE
    previous: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A bundle ready to serve, as bytes and as every POP will read it, with how it was checked."""

    data: bytes = field(repr=False)
    bundle: Bundle
    evaluation: Evaluation = field(repr=False)


def publish(sources: Sources, signer: Signer, trust: Trust, release: PolicyRelease) -> Published:
    """A signed bundle of the sources, which has already been opened once by the rules every POP applies.

    Raises: Rejected(policy-…) if the policy is not fit; Untrusted(bundle-…) if `trust` does not know `signer`.
    """
    if release.clause_id not in sources.clauses:
        raise Rejected("policy-approval", f"no clause {release.clause_id[:80]}", status=422)
    if not release.approver.strip():
        raise Rejected("policy-approval", "nobody approves", status=422)
    read_learning(sources.data["consent_edge"]["settings"])
    evaluation = evaluate(sources)
    data = build_bundle(
        sources.files(evaluation.table.to_value()),
        release.revision,
        signer,
        Approver(release.approver, release.clause_id, release.at),
        release.previous,
    )
    read_back = open_bundle(data, trust, release.at, NO_LOG, min_revision=release.revision)  # signed just above
    return Published(data, read_back, evaluation)
