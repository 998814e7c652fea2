"""The component of the sources as they are saved, built in the background by a process that a newer save ends.

builder = BackgroundBuild("hello", root, data)
built = await builder.build()        # Built, or why not; asyncio.CancelledError ends the process too
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consent_core.clock import SystemClock
from consent_core.errors import ConsentEdgeError, Unavailable
from consent_core.trust.trust_file import NO_LOG, TrustFile
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.sandbox import SandboxPool

NICENESS = 10  # a save is answered first


@dataclass(frozen=True, slots=True)
class Built:
    """A component that runs here, and how long it took to build, in seconds."""

    pool: SandboxPool
    seconds: float
    cached: bool


class BackgroundBuild:
    """Builds one function of a project. One build at a time."""

    def __init__(self, name: str, root: Path, data: Path) -> None:
        self._name = name
        self._root = root.resolve()
        self._data = data.resolve()

    async def build(self) -> Built:
        """Build, verify, load. Raises: ConsentEdgeError with the builder's own code."""
        result = await self._run()
        trust = TrustFile.load(self._data / "trust.json")
        directory = self._root / result["directory"]
        loaded = await asyncio.to_thread(load_component, directory, trust, SystemClock().now(), NO_LOG)
        return Built(SandboxPool(loaded), result["seconds"], result["cached"])

    async def _run(self) -> Mapping[str, Any]:
        edge = [sys.executable, "-P", "-m", "edge_cli.edge", "build", self._name, "--json"]
        process = await asyncio.create_subprocess_exec(
            "nice", "-n", str(NICENESS), *edge, "--root", str(self._root), "--data", str(self._data),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            out, err = await process.communicate()
        finally:
            _end(process)
            await process.communicate()  # its pipes close while there is an event loop to close them
        return _result(out, err)


def _end(process: asyncio.subprocess.Process) -> None:
    """End the build and the tools it started; it is the leader of its own group."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _result(out: bytes, err: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(out)
    except ValueError as error:
        raise Unavailable("dev-build", err.decode(errors="replace").strip()[-2000:]) from error
    if isinstance(document, dict):
        raise ConsentEdgeError(document["error"]["code"], document["error"]["message"])
    result: Mapping[str, Any] = document[0]
    return result
