"""What guest code may not do, and that the message says where."""

import pytest

from builder.guest_lint import Finding, check_guest, lint_guest
from builder.source import find_function, function_names, guest_files, roots
from consent_core.errors import Rejected
from tests.conftest import ROOT

REFUSED = {
    "clock": ("import time", 1, "time: a sandbox has no clock"),
    "clock through datetime": ("from datetime import datetime\n\nx = datetime.now()", 3, "now: a sandbox has no clock"),
    "today": ("import datetime\nx = datetime.date.today()", 2, "today: a sandbox has no clock"),
    "entropy": ("import random", 1, "random: entropy is frozen"),
    "entropy, part of a module": ("from random import choice", 1, "random: entropy is frozen"),
    "secrets": ("import json, secrets", 1, "secrets: entropy is frozen"),
    "uuid": ("from uuid import uuid4", 1, "uuid: entropy is frozen"),
    "uuid4 of something handed in": ("def f(u):\n    return u.uuid4()", 2, "uuid4: entropy is frozen"),
    "urandom": ("import os", 1, "os: a sandbox has no processes"),
    "urandom under another name": ("def f(x):\n    x.urandom(16)", 2, "urandom: entropy is frozen"),
    "network": ("import socket", 1, "socket: a sandbox has no network"),
    "network, submodule": ("import urllib.request", 1, "urllib.request: a sandbox has no network"),
    "files": ("x = open('/etc/passwd')", 1, "open: a sandbox has no files"),
    "files by path": ("from pathlib import Path", 1, "pathlib: a sandbox has no files"),
    "output": ("def f():\n    print('x')", 2, "print: a sandbox has no output"),
    "print handed on": ("log = print", 1, "print: a sandbox has no output"),
    "lazy import": ("def f():\n    import json\n    return json", 2, "import inside a function"),
    "lazy import in a branch": ("def f(x):\n    if x:\n        from json import loads", 3, "import inside a function"),
    "lazy import in a method": ("class A:\n    def f(self):\n        import json", 3, "import inside a function"),
    "dynamic code": ("eval('1')", 1, "eval: a guest runs only the code"),
    "dynamic import": ("__import__('json')", 1, "__import__: a guest runs only the code"),
    "importlib": ("import importlib", 1, "importlib: a guest runs only the code"),
    "pickle": ("import pickle", 1, "pickle: a guest runs only the code"),
    "hash": ("x = hash('a')", 1, "hash: differs between native runs"),
    "not installed": ("import numpy", 1, "numpy: neither the standard library"),
    "syntax": ("def f(:", 1, "not Python: invalid syntax"),
    "threads": ("import threading", 1, "threading: a sandbox has no processes"),
}
ALLOWED = {
    "standard library": "import json, hashlib, base64, re, math, dataclasses, enum, typing, collections.abc",
    "its own bindings": "from wit_world.exports.personalization import Decision\nfrom componentize_py_types import Err",
    "its own modules": "import features\nfrom features import bucket",
    "a dependency": "import tinylib.part",
    "shared modules": "from consent_core.formats import token",
    "datetime as a calculation": "from datetime import datetime, UTC\nx = datetime.fromtimestamp(0, UTC)",
    "a field called now": "def f(expected):\n    return expected.now",
    "a method called print": "def f(x):\n    x.print()",
    "relative import": "from . import features",
}
BESIDE = {"features.py": b"", "consent_core/formats/token.py": b""}


@pytest.mark.parametrize(("source", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_by_file_and_line(source: str, line: int, message: str) -> None:
    """One fault, one finding, at its line."""
    (finding,) = lint_guest({"app.py": source.encode(), **BESIDE}, ["tinylib"])

    assert (finding.path, finding.line) == ("app.py", line)
    assert finding.message.startswith(message)


@pytest.mark.parametrize("source", ALLOWED.values(), ids=ALLOWED)
def test_allowed(source: str) -> None:
    """What a sandbox can do is not complained about."""
    assert lint_guest({"app.py": source.encode(), **BESIDE}, ["tinylib"]) == ()


def test_every_fault_is_named_at_once() -> None:
    """A developer gets the whole list, in order of place, in terms of the repository."""
    files = {"b.py": b"import time\nprint(1)\n", "a.py": b"import random\n", "shared/x.py": b"open('y')\n"}

    with pytest.raises(Rejected) as refusal:
        check_guest(files, folder="functions/demo/")

    places = [line.rsplit(": ", 2)[0] for line in refusal.value.message.splitlines()]
    assert refusal.value.code == "build-lint"
    assert places == [
        "functions/demo/a.py:1",
        "functions/demo/b.py:1",
        "functions/demo/b.py:2",
        "shared/x.py:1",
    ]


@pytest.mark.parametrize("name", function_names(roots(ROOT)))
def test_the_shipped_functions_pass(name: str) -> None:
    """Our own guests keep the rules."""
    places = roots(ROOT)
    function = find_function(name, places)

    if function.language == "python":
        included = [find_function(inner, places) for inner in function.include]
        check_guest(guest_files(function, included), wasi=function.wasi)


def test_a_finding_reads_like_a_compiler_message() -> None:
    """Editors jump to `file:line:`."""
    assert str(Finding("app.py", 3, "print: no")) == "app.py:3: print: no"
