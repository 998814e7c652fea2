"""Every command explains itself, and every command line in the documentation is one that exists."""

import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

import click
import pytest
import typer.main
from typer.testing import CliRunner

from edge_cli.edge import app
from edge_cli.flctl import app as flctl
from tests.conftest import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "functions").glob("*/README.md")),
    *sorted((ROOT / "edge_cli" / "templates").rglob("*.md.tmpl")),
]
CODE = re.compile(r"^```[a-z]*\n(.*?)^```|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:\$ )?(?:.*(?:&&|;) )?(?:\S*bin/)?edge ([a-z-].*)")  # a line of a shell, or a whole code span
STOP = ("&&", "||", "|", ";", "#", ">", "→", "&", "#:")


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, by its path."""
    inside = getattr(command, "commands", None)
    if inside is not None:
        for name, inner in inside.items():
            yield from leaves(inner, (*path, name))
    else:
        yield tuple(" ".join(path).split()), command  # some commands have a name of two words


COMMANDS = dict(leaves(typer.main.get_command(app)))
NAMES = [" ".join(path) for path in COMMANDS]


def options(command: click.Command) -> set[str]:
    return {"--help", "-h", *(name for parameter in command.params for name in parameter.opts)}


ROOT_OPTIONS = options(typer.main.get_command(app))


def complaint(line: str) -> str | None:
    """What is wrong with `edge LINE`; None if such a command exists and has these options."""
    words = []
    for word in re.split(r"\s+", line.strip()):
        if word.startswith(STOP) or word in STOP:
            break
        words.append(word.strip("`[]().,:'\""))
    if words[0].startswith("-"):
        return None if words[0] in ROOT_OPTIONS else f"edge has no {words[0]}"
    path = next((p for p in (tuple(words[:2]), tuple(words[:1])) if p in COMMANDS), None)
    if path is None:
        is_group = any(known[0] == words[0] for known in COMMANDS)
        return None if is_group and len(words) == 1 else f"no such command: edge {line}"
    unknown = {w.partition("=")[0] for w in words if w.startswith("--") and len(w) > 2} - options(COMMANDS[path])
    return f"edge {' '.join(path)} has no {', '.join(sorted(unknown))}" if unknown else None


@pytest.mark.parametrize("path", COMMANDS, ids=NAMES)
def test_every_command_has_an_example_and_json(path):
    """The example is a command line of that very command, with options it has."""
    command = COMMANDS[path]
    example = re.search(r"Example: \[bold\](.+?)\[/bold\]", command.help or "", re.DOTALL)

    assert "--json" in options(command)
    assert example is not None
    parts = [part.strip() for part in " ".join(example[1].split()).split("&&")]
    mine = [part for part in parts if part.startswith("edge " + " ".join(path))]
    assert mine != []
    assert [complaint(part.removeprefix("edge ")) for part in parts if part.startswith("edge ")] == [None] * len(
        [part for part in parts if part.startswith("edge ")]
    )


@pytest.mark.parametrize("path", COMMANDS, ids=NAMES)
def test_help_says_what_each_option_does(path):
    """Nothing is left without a word."""
    silent = [parameter.name for parameter in COMMANDS[path].params if not getattr(parameter, "help", "")]

    assert silent == []


def test_help_and_wrong_usage_end_as_promised(edge):
    """0: ok; 2: usage."""
    shown, unknown, missing = edge("policy", "test", "--help"), edge("build", "--colour"), edge("invoke")

    assert (shown.code, unknown.code, missing.code) == (0, 2, 2)
    assert "edge policy test" in shown.out


def lines(page) -> Iterator[str]:
    for block, inline in CODE.findall(page.read_text()):
        for line in (block or inline).splitlines():
            found = COMMAND.search(line.strip())
            if found:
                yield found[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_in_the_documentation_exists(page):
    """A reader who copies it gets no usage error."""
    assert [found for found in map(complaint, lines(page)) if found] == []


def test_the_examples_split_as_a_shell_would():
    """No stray quote."""
    for command in COMMANDS.values():
        example = re.search(r"Example: \[bold\](.+?)\[/bold\]", command.help or "", re.DOTALL)
        assert example is None or shlex.split(example[1])


def test_every_make_target_in_the_readme_exists():
    """The two commands of the first page, above all."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))

    assert named - targets == set()


@pytest.mark.parametrize(
    "line",
    [
        ("up", "--site", "nowhere"),
        ("up", "--catalogue", "nowhere.toml"),
        ("pop", "Bad_Name"),
        ("pop", "tokyo-1", "--jurisdiction", "nowhere at all"),
    ],
    ids=" ".join,
)
def test_wrong_values_are_wrong_usage(edge, line):
    """Said before anything is built or started."""
    assert edge(*line).code == 2


def test_a_taken_port_is_named_before_anything_is_built(edge, tmp_path, monkeypatch):
    """`edge up` twice: the second says which port, and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("edge_cli.commands.serve.PUBLIC_PORT", port)
        said = edge("up")

    assert said.code == 1
    assert "port-taken" in said.err
    assert str(port) in said.err
    assert list(tmp_path.iterdir()) == []


UP = """
import signal, time, types
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with it ignored
import builder.report, edge_cli.checkup, edge_cli.commands.serve, edge_cli.welcome, fleet.processes, fleet.project
from edge_cli.edge import app

class Fleet:
    def __init__(self, *_, **__): pass
    def __enter__(self): return self
    def watch(self): print("watching", flush=True); time.sleep(3_600)
    def stop(self): print("stopped", flush=True)

fleet.processes.Fleet = Fleet
fleet.project.prepare = lambda *_: types.SimpleNamespace(built=[])
builder.report.results_table = edge_cli.welcome.welcome = lambda *_: ""
edge_cli.welcome.places = lambda *_: {}
edge_cli.checkup.require_free = lambda _: None
app(["up"])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_ends_edge_up_ends_what_it_started(number):
    """Also a service manager, which does not press Ctrl-C."""
    with subprocess.Popen([sys.executable, "-c", UP], cwd=ROOT, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert any(line == "watching\n" for line in iter(up.stdout.readline, ""))
        up.send_signal(number)
        said = up.stdout.read()

    assert "stopped" in said


def test_no_trail_is_not_a_trail_in_order(edge, tmp_path):
    """A wrong `--data` must not look like a good verdict."""
    said = edge("audit", "verify", "--data", tmp_path)

    assert said.code == 1
    assert "audit-unknown" in said.err


def test_no_revision_is_said_before_anything_is_built(edge, tmp_path, monkeypatch):
    """`--diff` with a slip of the pen costs no build."""
    monkeypatch.chdir(tmp_path)

    said = edge("build", "--diff", "no-such-revision", "--root", ROOT)

    assert said.code == 1
    assert "diff-revision" in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", [app, flctl])
def test_both_command_lines_say_their_version(line):
    """The version is the package's own."""
    said = CliRunner().invoke(line, ["--version"])

    assert (said.exit_code, said.output) == (0, f"consent-edge {metadata.version('consent-edge')}\n")
