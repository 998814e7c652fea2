"""The seed models: baked from generated visits, the same bytes every time."""

import subprocess
import sys

from tests.conftest import ROOT


def test_training_again_bakes_the_same_weights() -> None:
    """`weights.py` is what the committed script writes, so a reader need not trust it."""
    script = ROOT / "functions" / "personalization" / "training" / "train.py"

    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
