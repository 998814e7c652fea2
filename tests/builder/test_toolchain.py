"""Tools run in an empty environment, dependencies are pure Python, and complaints reach the developer."""

import sys
import zipfile
from pathlib import Path

import pytest

from builder.toolchain import install_dependencies, run_tool, tool_versions
from consent_core.errors import Rejected, Unavailable


def wheel(directory: Path, name: str, tag: str, **files: str) -> None:
    """The smallest wheel that pip installs."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(directory / f"{name}-1.0-{tag}.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from instead of the network."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_nothing_of_the_callers_environment_reaches_a_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets, paths of other packages and an active virtual environment stay outside."""
    for name in ("AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "must-not-be-seen")

    seen = run_tool([sys.executable, "-c", "import os; print(dict(os.environ))"], env={"WANTED": "1"})

    assert "must-not-be-seen" not in seen
    assert "WANTED" in seen


def test_a_tools_complaint_is_passed_on(tmp_path: Path) -> None:
    """Its last lines, without the stack of the tool's own insides."""
    script = "import sys; sys.exit('\\n'.join([*map(str, range(50)), 'the reason', 'Stack backtrace:', 'noise']))"

    with pytest.raises(Rejected) as refusal:
        run_tool([sys.executable, "-c", script])

    assert refusal.value.code == "build-failed"
    assert refusal.value.message.endswith("the reason")
    assert "noise" not in refusal.value.message
    assert len(refusal.value.message.splitlines()) == 12


def test_a_missing_tool_is_not_the_functions_fault(tmp_path: Path) -> None:
    """Whoever runs the build must act, not whoever wrote the function."""
    with pytest.raises(Unavailable, match="no-such-tool"):
        run_tool([str(tmp_path / "no-such-tool")])


def test_a_pure_dependency_is_installed_alone(tmp_path: Path, index: Path) -> None:
    """Exactly what function.toml names, without its own dependencies."""
    wheel(index, "tinylib", "py3-none-any", **{"tinylib.py": "x = 1\n"})

    install_dependencies(["tinylib==1.0"], tmp_path / "packages")

    assert (tmp_path / "packages" / "tinylib.py").read_text() == "x = 1\n"


@pytest.mark.parametrize("requirement", ["nativelib==1.0", "tinylib==2.0", "absent==1.0"])
def test_a_dependency_that_is_native_or_absent_is_refused(tmp_path: Path, index: Path, requirement: str) -> None:
    """A platform wheel cannot run in a sandbox, and no other version is taken instead."""
    wheel(index, "nativelib", "cp311-cp311-manylinux_2_17_x86_64", **{"nativelib.py": ""})
    wheel(index, "tinylib", "py3-none-any", **{"tinylib.py": ""})

    with pytest.raises(Rejected, match="No matching distribution"):
        install_dependencies([requirement], tmp_path / "packages")


def test_no_dependencies_need_no_pip(tmp_path: Path) -> None:
    """Nothing is run, nothing is made."""
    install_dependencies([], tmp_path / "packages")

    assert not (tmp_path / "packages").exists()


def test_every_tool_has_a_version() -> None:
    """They go into the manifest."""
    assert all(version[0].isdigit() for version in tool_versions().values())
