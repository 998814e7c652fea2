"""Which machine and commit a result belongs to, and whether the machine was free to be measured on."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

FOREIGN_CORES_MAX = 0.6  # more than this used by others while a sample ran: the sample says nothing about us


def describe() -> dict[str, Any]:
    """CPU, cores, memory, system and commit."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    run = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


class LoadMeter:
    """CPU that processes outside our own tree used since the last reading, in cores."""

    def __init__(self, root: psutil.Process | None = None) -> None:
        self._root = root or psutil.Process()
        self._last = self._reading()

    def foreign_cores(self) -> float:
        """Cores used by others since the last call. Includes time stolen by a hypervisor."""
        before, self._last = self._last, self._reading()
        seconds = self._last[0] - before[0]
        busy, own = self._last[1] - before[1], self._last[2] - before[2]
        return max(0.0, busy - max(0.0, own)) / seconds if seconds > 0 else 0.0

    def _reading(self) -> tuple[float, float, float]:
        times = psutil.cpu_times()
        total = sum(times[:8])  # user nice system idle iowait irq softirq steal
        busy = total - times.idle - times.iowait
        return total / (os.cpu_count() or 1), busy, self._own()

    def _own(self) -> float:
        used = 0.0
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            used += times.user + times.system + times.children_user + times.children_system
        return used
