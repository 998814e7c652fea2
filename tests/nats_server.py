"""A real NATS server on this machine, which tests start, kill and freeze."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from fleet.ports import free_port

PROGRAM = Path(sys.executable).parent / "nats-server"


@dataclass
class NatsServer:
    """One server with JetStream; begun anew it remembers nothing that was kept in memory."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> "NatsServer":
        command = [PROGRAM, "--addr", "127.0.0.1", "--port", str(self.port), "-js", "-sd", self.home]
        with (self.home / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 240.0
        while not self._answers():
            assert self.process.poll() is None, (self.home / "nats.log").read_text()
            assert time.monotonic() < deadline, "nats-server does not listen"
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
