"""A control plane and its POPs as real processes on this machine.

    with Fleet(data=Path(".edge"), pops=fleet_of(2), site=Path("demo/site")) as fleet:
        print(fleet.url("tokyo-1"))

Every process is started with one command line, waited for until it says that it is ready, and ended by its own id.
What a process prints goes to `DATA/logs/<name>.log`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import stamina

from consent_core.errors import Unavailable
from fleet.ports import LOOPBACK, free_ports
from fleet.witnesses import trust_witnesses

START_WAIT_S = 300.0  # a process that ends is noticed at once; one that starts on a loaded machine is only slow
STOP_WAIT_S = 30.0
WAVE = 5  # POPs that start together: starting takes seconds of one core each
FIRST_POP_PORT = 8081  # POP n listens on 808n

# A few of the world's POPs, so that different laws apply: id and jurisdiction.
PLACES = (
    ("tokyo-1", "JP"), ("frankfurt-1", "EU"), ("san-jose-1", "US-CA"), ("singapore-1", "SG"),
    ("london-1", "UK"), ("bangkok-1", "TH"), ("nowhere-1", "ZZ"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PopSpec:
    """One POP to run. A port of 0 is chosen by the fleet."""

    pop: str
    jurisdiction: str
    port: int = 0
    options: tuple[str, ...] = ()


def fleet_of(n: int, first_port: int = FIRST_POP_PORT, options: tuple[str, ...] = ()) -> list[PopSpec]:
    """n POPs over the world's places; POP k listens on first_port + k, or anywhere if first_port is 0.

    `options` are passed on to each `edge pop`.
    """
    specs = []
    for i in range(n):
        name, jurisdiction = PLACES[i % len(PLACES)]
        pop = name if i < len(PLACES) else f"{name.rsplit('-', 1)[0]}-{i // len(PLACES) + 1}"
        specs.append(PopSpec(pop, jurisdiction, first_port + i if first_port else 0, options))
    return specs


@dataclass(slots=True)
class Member:
    """One running process of a fleet."""

    name: str
    arguments: list[str]
    ready_url: str
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start without waiting."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "edge_cli.edge", *self.arguments], stdout=log, stderr=log, env=environment
            )

    def wait_ready(self, patience_s: float = START_WAIT_S) -> None:
        """Return when the process says that it is ready. Raises: Unavailable with the end of its log."""

        @stamina.retry(on=_NotReadyError, timeout=patience_s, attempts=None, wait_initial=0.05, wait_max=0.25)
        def ask() -> None:
            if self.process is None or self.process.poll() is not None:
                raise Unavailable("process-ended", f"{self.name} ended while starting:\n{self.last_words()}")
            try:
                answered = httpx.get(self.ready_url, timeout=2.0).is_success
            except httpx.HTTPError:
                answered = False
            if not answered:
                raise _NotReadyError

        try:
            ask()
        except _NotReadyError:
            raise Unavailable("process-not-ready", f"{self.name} is not ready after {patience_s:.0f} s:\n"
                              f"{self.last_words()}") from None  # fmt: skip

    def last_words(self, lines: int = 15) -> str:
        """The end of what the process printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def stop(self) -> None:
        """Ask to end; after a while, end it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """kill -9, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self, patience_s: float = START_WAIT_S) -> None:
        """kill -9, start again, return when it is ready. Raises: Unavailable."""
        self.kill()
        self.start()
        self.wait_ready(patience_s)


class _NotReadyError(Exception):
    pass


class Fleet:
    """Control planes and some POPs. A context manager: leaving it ends what it started.

    `control_planes` above 1 share one PostgreSQL, `database`; a POP asks the next one where one does not answer.
    """

    def __init__(
        self,
        data: Path,
        pops: Sequence[PopSpec],
        *,
        site: Path,
        public_port: int = 0,
        mesh_port: int = 0,
        components: Path | None = None,
        database: str | None = None,
        plane_options: Sequence[str] = (),
        witnesses: Sequence[str] = (),
        control_planes: int = 1,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.data = data
        self._on_progress = on_progress
        free = iter(free_ports(2 * control_planes + 3 * len(pops) + len(witnesses) + 1))
        self._ports = {spec.pop: (spec.port or next(free), next(free), next(free)) for spec in pops}
        common = ["--data", str(data), *(["--components", str(components)] if components else [])]
        at = {name: f"http://{LOOPBACK}:{next(free)}" for name in witnesses}
        self.witnesses = {name: self._member_witness(name, url) for name, url in at.items()}
        seen_by = [part for name, url in at.items() for part in ("--witness", f"{name}={url}")]
        shared = [*plane_options, *seen_by, *(["--database", database] if database else [])]
        self._planes = [(public_port or next(free), mesh_port or next(free))]
        self._planes += [(next(free), next(free)) for _ in range(control_planes - 1)]
        self._dashboard = next(free)
        self.control_plane, *self.standbys = (
            self._member_control_plane(number, ports, shared) for number, ports in enumerate(self._planes, 1)
        )
        self.pops = {spec.pop: self._member_pop(spec, site, common) for spec in pops}

    def url(self, pop: str) -> str:
        """Where browsers find this POP."""
        return f"http://{LOOPBACK}:{self._ports[pop][0]}"

    def admin_url(self, pop: str) -> str:
        """This POP's /metrics and /readyz."""
        return f"http://{LOOPBACK}:{self._ports[pop][2]}"

    @property
    def control_plane_url(self) -> str:
        """The control plane's public listener."""
        return f"http://{LOOPBACK}:{self._planes[0][0]}"

    @property
    def dashboard_url(self) -> str:
        """The first control plane's dashboard, /metrics and /readyz."""
        return f"http://{LOOPBACK}:{self._dashboard}"

    @property
    def mesh_url(self) -> str:
        """The control planes' mesh listeners, with commas between them."""
        return ",".join(f"https://{LOOPBACK}:{mesh}" for _, mesh in self._planes)

    def start(self) -> None:
        """Witnesses, then the control plane (it makes keys and identities), then the POPs, a few at once."""
        self._start_witnesses()
        self._on_progress("control plane")
        for plane in (self.control_plane, *self.standbys):
            plane.start()
            plane.wait_ready()
        members = list(self.pops.items())
        for first in range(0, len(members), WAVE):
            wave = members[first : first + WAVE]
            for _, member in wave:
                member.start()
            for name, member in wave:
                self._on_progress(name)
                member.wait_ready()

    def stop(self) -> None:
        """End every process, POPs first."""
        for member in self.pops.values():
            if member.process is not None and member.process.poll() is None:
                member.process.send_signal(signal.SIGTERM)
        for member in [*self.pops.values(), self.control_plane, *self.standbys, *self.witnesses.values()]:
            with suppress(ProcessLookupError):
                member.stop()

    def watch(self) -> None:
        """Wait until interrupted. Raises: Unavailable if a process ends by itself."""
        members = [*self.witnesses.values(), self.control_plane, *self.standbys, *self.pops.values()]
        while True:
            for member in members:
                if member.process is not None and member.process.poll() is not None:
                    raise Unavailable("process-ended", f"{member.name} ended:\n{member.last_words()}")
            time.sleep(0.5)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_witnesses(self) -> None:
        if self.witnesses:
            trust_witnesses(self.data, tuple(self.witnesses))
        for member in self.witnesses.values():
            member.start()
        for name, member in self.witnesses.items():
            self._on_progress(f"witness {name}")
            member.wait_ready()

    def _member_witness(self, name: str, url: str) -> Member:
        arguments = ["witness", "run", name, "--data", str(self.data), "--port", url.rsplit(":", 1)[1]]
        return Member(f"witness {name}", arguments, f"{url}/healthz", self.data / "logs" / f"witness-{name}.log")

    def _member_control_plane(self, number: int, ports: tuple[int, int], options: Sequence[str]) -> Member:
        public, mesh = ports
        name = "control-plane" if number == 1 else f"control-plane-{number}"
        arguments = [
            "control-plane", "--data", str(self.data), "--public-port", str(public), "--mesh-port", str(mesh),
            *(["--number", str(number)] if number > 1 else self._dashboard_options()), *options,
        ]  # fmt: skip
        return Member(name, arguments, f"http://{LOOPBACK}:{public}/healthz", self.data / "logs" / f"{name}.log")

    def _dashboard_options(self) -> list[str]:
        pages = ",".join(f"{pop}={self.admin_url(pop)}/metrics" for pop in self._ports)
        return ["--admin-port", str(self._dashboard), *(["--set", f"pop_pages={pages}"] if pages else [])]

    def _member_pop(self, spec: PopSpec, site: Path, common: list[str]) -> Member:
        public, mesh, admin = self._ports[spec.pop]
        arguments = [
            "pop", spec.pop, *common, "--jurisdiction", spec.jurisdiction, "--site", str(site),
            "--port", str(public), "--mesh-port", str(mesh), "--admin-port", str(admin),
            "--control-plane", self.mesh_url, *spec.options,
        ]  # fmt: skip
        return Member(spec.pop, arguments, f"http://{LOOPBACK}:{admin}/readyz", self.data / "logs" / f"{spec.pop}.log")
