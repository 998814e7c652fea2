"""The command line called as a user calls it: arguments in, exit code and printed text out."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

from edge_cli.edge import main


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def edge(monkeypatch):
    """`edge("policy", "test")` in this process, through the same entry point as the installed command."""

    def run(*arguments) -> Said:
        monkeypatch.setattr(sys, "argv", ["edge", *map(str, arguments)])
        out, err, code = io.StringIO(), io.StringIO(), 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        return Said(code, out.getvalue(), err.getvalue())

    return run
