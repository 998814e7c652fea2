"""`edge policy test`: everything that publishing does, with keys that are thrown away, and nothing put in force."""

from pathlib import Path
from tempfile import TemporaryDirectory

from consent_core.clock import SystemClock
from consent_core.policy.evaluation import Evaluation
from consent_core.policy.publish import PolicyRelease, publish
from consent_core.policy.sources import Sources
from consent_core.trust.keys import KeyStore


def tried(sources: Sources) -> Evaluation:
    """What the policy decides. Raises: Rejected("policy-…") where publishing it would."""
    with TemporaryDirectory(prefix="policy-test-") as folder:
        keys = KeyStore.open(Path(folder), create=True)
        release = PolicyRelease(revision=1, approver="edge policy test", at=SystemClock().now())
        return publish(sources, keys.current("bundle"), keys.trust_file(), release).evaluation
