"""A throwaway PostgreSQL on a unix socket, run by an ordinary user because it refuses root."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class Server:
    """A running server; `url()` is a fresh database, empty or a copy of `like`, to which nothing is connected."""

    def __init__(self, socket: Path, user: str) -> None:
        self._address = f"host={socket}&user={user}"
        self._numbers = itertools.count(1)

    def url(self, like: str = "template1") -> str:
        return self.dsn(self.create(like))

    def create(self, like: str = "template1") -> str:
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return name

    def dsn(self, database: str) -> str:
        return f"postgresql:///{database}?{self._address}"


@contextmanager
def running() -> Iterator[Server]:
    """Start a server and stop it again."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert binaries, "PostgreSQL is missing: apt-get install postgresql"
    directory = Path(tempfile.mkdtemp(prefix="consent-edge-pg-"))
    user, prefix = _ordinary_user(directory)
    data, options = directory / "data", " ".join(f"-c {setting}" for setting in SETTINGS)
    control = [*prefix, str(binaries[-1] / "pg_ctl"), "-D", str(data), "-w", "-t", "600", "-s"]
    _run([*prefix, str(binaries[-1] / "initdb"), "-D", str(data), "-A", "trust", "-U", user, "--no-sync"])
    _run([*control, "-l", str(directory / "log"), "-o", f"-k {directory} -h '' {options}", "start"])
    try:
        yield Server(directory, user)
    finally:
        _run([*control, "-m", "immediate", "stop"])
        shutil.rmtree(directory)


def _ordinary_user(directory: Path) -> tuple[str, list[str]]:
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name, []
    postgres = pwd.getpwnam("postgres")
    os.chown(directory, postgres.pw_uid, postgres.pw_gid)
    return "postgres", ["setpriv", f"--reuid={postgres.pw_uid}", f"--regid={postgres.pw_gid}", "--clear-groups"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", check=False)
    assert done.returncode == 0, done.stderr.decode()
