"""What a reviewer is told about a change: grown capabilities first, measured on what was really built."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from builder import build
from builder.diff import Change, Difference, Shape, compare
from builder.report import differences_table
from builder.source import find_function
from consent_core.errors import Rejected
from tests.builder.test_pipeline import APP
from tests.builder.test_source import TOML, write
from tests.conftest import ROOT, Components

SHAPE = Shape(
    world="edge-http",
    imports=("wasi:http/types@0.2.0",),
    exports=("wasi:http/incoming-handler@0.2.0",),
    category=("contextual",),
    memory_mib=64,
    deadline_ms=250,
    size=18_000_000,
    compiled_size=33_000_000,
    sources={"functions/demo/app.py": "sha256:aa"},
)


def commit(root: Path) -> None:
    """Everything in the folder, committed."""
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "t"]):
        subprocess.run([*git, *command], check=True)


def test_what_grows_is_marked_and_what_shrinks_is_not() -> None:
    """A new import, more memory and a longer deadline want a look; fewer do not."""
    more = replace(
        SHAPE,
        imports=(*SHAPE.imports, "wasi:sockets/tcp@0.2.0"),
        category=("behavioral", "contextual"),
        memory_mib=128,
        deadline_ms=500,
    )
    grown, shrunk = Difference("demo", SHAPE, more).changes, Difference("demo", more, SHAPE).changes

    assert grown == (
        Change("import", "", "wasi:sockets/tcp@0.2.0", wider=True),
        Change("category", "", "behavioral", wider=True),
        Change("memory", "64 MiB", "128 MiB", wider=True),
        Change("deadline", "250 ms", "500 ms", wider=True),
    )
    assert [change.wider for change in shrunk] == [False] * 4


def test_sizes_and_sources_are_told() -> None:
    """By KiB and by path."""
    other = replace(SHAPE, size=19_000_000, compiled_size=34_000_000, sources={"functions/demo/b.py": "sha256:bb"})

    assert Difference("demo", SHAPE, other).changes == (
        Change("size", "17,578 KiB", "18,555 KiB"),
        Change("native size", "32,227 KiB", "33,203 KiB"),
        Change("source", "functions/demo/app.py", ""),
        Change("source", "", "functions/demo/b.py"),
    )


def test_a_new_function_is_all_new() -> None:
    """Each of its capabilities is one that nobody had before; a removed one asks for nothing."""
    added, removed = Difference("demo", None, SHAPE), Difference("demo", SHAPE, None)

    assert (added.status, removed.status) == ("added", "removed")
    assert {change.what for change in added.changes if change.wider} >= {"import", "export", "category", "memory"}
    assert not any(change.wider for change in removed.changes)


def test_the_table_starts_with_what_grew() -> None:
    """A reviewer reads from the top."""
    more = replace(SHAPE, imports=(), size=1, deadline_ms=500)
    console = Console(width=140, record=True, force_terminal=False)
    console.print(differences_table([Difference("demo", SHAPE, more), Difference("same", SHAPE, SHAPE)], "main"))
    text = console.export_text()

    assert text.index("500 ms") < text.index("wasi:http/types") < text.index("same")
    assert Difference("same", SHAPE, SHAPE).status == "same"


def test_the_other_revision_is_built(tmp_path: Path, components: Components) -> None:
    """What was committed is measured, whatever the working tree says now, and nothing is left of it."""
    place = write(tmp_path, name="last_one", **{"app.py": APP})
    commit(tmp_path)
    cache, signer = ROOT / "build" / "cache", components.store.current("component")
    results = build(["last_one"], root=tmp_path, cache=cache, signer=signer)
    [same] = compare(results, "HEAD", root=tmp_path, cache=cache)
    (place / "function.toml").write_text("not TOML")
    [removed] = compare([], "HEAD", root=tmp_path, cache=cache)

    assert (same.status, removed.status) == ("same", "removed")
    assert removed.before is not None
    assert removed.before.size == results[0].size > 10_000_000
    listed = subprocess.run(["git", "worktree", "list"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 1


@pytest.mark.parametrize("revision", ["nowhere", "--output=/tmp/x", "-h", ""])
def test_what_is_no_revision_is_refused(tmp_path: Path, revision: str) -> None:
    """An option is none, and a folder without git has none."""
    write(tmp_path)
    for prepare in (lambda: None, lambda: commit(tmp_path)):
        prepare()
        with pytest.raises(Rejected) as caught:
            compare([], revision, root=tmp_path)
        assert caught.value.code == "diff-revision"


def test_another_checkout_brings_its_own_shared_modules(tmp_path: Path) -> None:
    """At another revision of this project, shared modules are that revision's; in a user's tree they are ours."""
    toml = TOML.replace("category", 'shared = ["consent_core/errors.py"]\ncategory')
    write(tmp_path, toml)
    (tmp_path / "consent_core").mkdir()
    (tmp_path / "consent_core/errors.py").write_text("# theirs\n")

    ours = find_function("demo", (tmp_path,)).files["consent_core/errors.py"]
    (tmp_path / "builder").mkdir()
    (tmp_path / "builder/source.py").write_text("")

    assert ours == (ROOT / "consent_core/errors.py").read_bytes()
    assert find_function("demo", (tmp_path,)).files["consent_core/errors.py"] == b"# theirs\n"
