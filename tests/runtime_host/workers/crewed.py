"""POPs of two real processes each, and connections whose process is known."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from consent_core.audit.reader import AuditRecord, read_records
from consent_core.trust.providers.selection import open_provider
from edge_cli.operator import Operator
from fleet.ports import LOOPBACK
from fleet.processes import Fleet
from runtime_host.pop.workers.supervisor import MODULE

HERO = "/v1/slots/home-hero?section=water"
BANNER = "/v1/slots/member-banner?section=water"
PAGE = {"sec-fetch-site": "same-origin", "content-type": "application/json"}


def until(met: Callable[[], Any], patience_s: float = 120.0) -> Any:
    """What `met` returns once it is true."""
    deadline = time.monotonic() + patience_s
    while not (value := met()):
        assert time.monotonic() < deadline, "still not"
        time.sleep(0.02)
    return value


def _works(child: psutil.Process) -> bool:
    """Whether this is a worker: neither a render process nor one that was killed and waits for its lead to look."""
    try:
        return child.status() != psutil.STATUS_ZOMBIE and MODULE in child.cmdline()
    except psutil.NoSuchProcess:
        return False


@dataclass
class Crewed:
    """One POP of a running fleet."""

    fleet: Fleet
    name: str
    lines: "list[Line]" = field(default_factory=list)

    def close(self) -> None:
        """Hang up everywhere."""
        for line in self.lines:
            line.close()

    @property
    def data(self) -> Path:
        return self.fleet.data

    @property
    def port(self) -> int:
        return int(self.fleet.url(self.name).rpartition(":")[2])

    @property
    def lead(self) -> psutil.Process:
        process = self.fleet.pops[self.name].process
        assert process is not None
        return psutil.Process(process.pid)

    @property
    def worker(self) -> psutil.Process:
        """The process in the second place."""
        (child,) = filter(_works, self.lead.children())
        return child

    @property
    def processes(self) -> list[psutil.Process]:
        return [self.lead, self.worker]

    @property
    def ready(self) -> dict[str, Any]:
        return httpx.get(f"{self.fleet.admin_url(self.name)}/readyz", timeout=60).json()

    def until_whole(self) -> None:
        """All workers serve again."""
        until(lambda: httpx.get(f"{self.fleet.admin_url(self.name)}/readyz", timeout=60).is_success)

    def metric(self, name: str, *labels: str) -> float:
        """The sum of a metric's series that carry these labels."""
        page = httpx.get(f"{self.fleet.admin_url(self.name)}/metrics", timeout=60).text
        found = re.findall(rf"^{name}\{{([^}}]*)\}} ([0-9.e+]+)$", page, re.MULTILINE)
        return sum(float(value) for had, value in found if all(label in had for label in labels))

    def at(self, process: psutil.Process) -> "Line":
        """A connection that this process has accepted: the other one is held meanwhile."""
        others = [other for other in self.processes if other.pid != process.pid]
        with held(*others):
            line = Line(self.port)
            self.lines.append(line)
            line.get("/healthz")
        return line

    def operator(self) -> Operator:
        return Operator(self.data, "test", self.fleet.mesh_url)

    def records(self, *trails: str) -> list[AuditRecord]:
        """Of these trails; all of this POP's if none is named."""
        root = self.data / "audit" / "edge"
        names = trails or sorted(path.name for path in root.glob(f"{self.name}*"))
        provider = open_provider("keyring", self.data, None)
        return [record for name in names for record in read_records(root / name, provider)]

    def verified(self) -> dict[str, Any]:
        """What `edge audit verify --json` says."""
        command = [sys.executable, "-P", "-m", "edge_cli.edge", "audit", "verify", "--json", "--data", str(self.data)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        return json.loads(run.stdout)

    def recorded(self) -> int:
        """How many records all trails of this POP have, sealed or waiting."""
        trails = self.verified()["trails"]
        return sum(trail["records"] for trail in trails if trail["directory"].startswith(self.name))


@contextmanager
def held(*processes: psutil.Process) -> Iterator[None]:
    """These do nothing meanwhile."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@dataclass
class Line:
    """One kept-alive connection, and the cookies of whoever speaks over it. `jar` may be shared between lines."""

    port: int
    jar: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], bytes]:
        cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())} if self.jar else {}
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, content, {**PAGE, **cookies})
        answer = self._connection.getresponse()
        for cookie in answer.headers.get_all("set-cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.jar[name] = value
            if not value:
                del self.jar[name]
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> Any:
        return json.loads(self.ask("GET", path)[2])

    def grant(self, *choices: str) -> Any:
        status, _, body = self.ask("POST", "/v1/consent", {"grant": list(choices)})
        assert status == 200, body
        return json.loads(body)

    def withdraw(self, *categories: str) -> int:
        return self.ask("DELETE", "/v1/consent", {"categories": list(categories)} if categories else {})[0]

    def shown(self, path: str = HERO) -> str:
        return str(self.get(path)["category"])

    def token(self) -> str:
        return next(value for name, value in self.jar.items() if name.endswith("consent-token"))


def kill(process: psutil.Process) -> None:
    """kill -9, and wait until it is gone."""
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(process.pid) or process.status() == psutil.STATUS_ZOMBIE)
