"""function.toml is read strictly, and a function is exactly the files that go into its guest."""

from pathlib import Path

import pytest

from builder.source import FunctionSource, find_function, function_names, roots
from consent_core.errors import Rejected
from tests.conftest import ROOT

TOML = """
description = "A test."
world = "edge-personalization"
category = ["contextual"]
dependencies = []
[limits]
memory_mib = 64
deadline_ms = 100
"""
WRONG = {
    "not TOML": ("world = ", "Invalid value"),
    "no world": (TOML.replace("world =", "description2 ="), "unknown: description2"),
    "empty world": (TOML.replace('"edge-personalization"', '""'), "world: expected a text"),
    "unknown setting": (TOML.replace("[limits]", "colour = 1\n[limits]"), "unknown: colour"),
    "unknown category": (TOML.replace("contextual", "everything"), "category: from contextual"),
    "no limits": (TOML.partition("[limits]")[0], "limits: expected memory_mib and deadline_ms"),
    "too little memory": (TOML.replace("64", "12"), "limits.memory_mib: expected 13 to 4096"),
    "no deadline": (TOML.replace("100", "0"), "limits.deadline_ms: expected 1 to 60000"),
    "deadline is true": (TOML.replace("100", "true"), "limits.deadline_ms: expected 1 to 60000"),
    "loose dependency": (TOML.replace("[]", '["idna>=3"]'), "pin each as"),
    "an option as dependency": (TOML.replace("[]", '["--index-url=x==1"]'), "pin each as"),
    "unknown language": (TOML.replace("world", 'language = "rust"\nworld', 1), "language: expected one of python, zig"),
    "shared from outside": (TOML.replace("category", 'shared = ["../x.py"]\ncategory'), "is no module of this project"),
    "shared is no module": (
        TOML.replace("category", 'shared = ["README.md"]\ncategory'),
        "is no module of this project",
    ),
}


def write(root: Path, toml: str = TOML, name: str = "demo", **files: str) -> Path:
    directory = root / "functions" / name
    directory.mkdir(parents=True)
    (directory / "function.toml").write_text(toml)
    for path, text in {"app.py": "x = 1\n", **files}.items():
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text(text)
    return directory


def demo(root: Path) -> FunctionSource:
    return find_function("demo", roots(root))


@pytest.mark.parametrize(("toml", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_function_toml_is_refused(tmp_path: Path, toml: str, message: str) -> None:
    """The message names the file and what was expected."""
    write(tmp_path, toml)

    with pytest.raises(Rejected) as refusal:
        demo(tmp_path)

    assert refusal.value.code == "build-source"
    assert refusal.value.message.startswith("functions/demo/function.toml: ")
    assert message in refusal.value.message


@pytest.mark.parametrize("name", ["", "..", "a/b", "Demo", "x" * 65, "demo\n", "demo/../demo"])
def test_a_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    """Only folders directly under functions/ are looked at."""
    write(tmp_path)

    with pytest.raises(Rejected, match="a name is lower case, digits and underscores"):
        find_function(name, roots(tmp_path))


def test_shared_modules_come_from_this_project_only(tmp_path: Path) -> None:
    """An absolute path would take any file of the machine into a component."""
    (tmp_path / "secret.py").write_text("key = 1\n")
    write(tmp_path, TOML.replace("category", f'shared = ["{tmp_path}/secret.py"]\ncategory'))

    with pytest.raises(Rejected, match="is no module of this project"):
        demo(tmp_path)


def test_a_function_needs_an_app(tmp_path: Path) -> None:
    """A folder without app.py is refused before anything runs."""
    (write(tmp_path) / "app.py").unlink()

    with pytest.raises(Rejected, match=r"a function has an app\.py"):
        demo(tmp_path)


def test_the_guest_is_what_lies_beside_app_py(tmp_path: Path) -> None:
    """Training scripts and tests in subfolders, and other files, stay outside."""
    write(tmp_path, **{"weights.py": "w = 1\n", "training/train.py": "import random\n", "README.md": "# demo\n"})

    assert demo(tmp_path).files.keys() == {"app.py", "weights.py"}


def test_shared_modules_keep_their_path(tmp_path: Path) -> None:
    """The token parser is the same file, under the same name, with empty packages around it."""
    write(tmp_path, TOML.replace("category", 'shared = ["consent_core/formats/token.py"]\ncategory'))

    files = demo(tmp_path).files

    assert files["consent_core/formats/token.py"] == (ROOT / "consent_core" / "formats" / "token.py").read_bytes()
    assert files["consent_core/__init__.py"] == files["consent_core/formats/__init__.py"] == b""


def test_a_users_function_goes_before_ours(tmp_path: Path) -> None:
    """A repository with its own functions/ also finds what this project ships, and its own version of it first."""
    write(tmp_path)
    write(tmp_path, TOML.replace("A test.", "Their own."), name="personalization")

    ours = {"consent_validation", "edge_http", "personalization", "verifier"}
    assert set(function_names(roots(tmp_path))) == {"demo", *ours}
    assert find_function("personalization", roots(tmp_path)).description == "Their own."
    assert "package consent-edge:functions@0.1.0;" in demo(tmp_path).wit["world.wit"].decode()
