"""What has to exist before anything runs: keys, signed components, pictures. Each is made once."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from builder import BuildResult, build
from builder.report import show_progress
from builder.source import find_function, function_names
from consent_core.errors import Unavailable
from consent_core.resources import ROOT, resource
from consent_core.trust.keys import KeyStore

REPOSITORY = ROOT
ART = Path("build/art")
SHOP = resource("demo")
SDK = resource("consent_sdk")
CATALOGUE = "catalogue.toml"


@dataclass(frozen=True, slots=True)
class Stage:
    """The data directory with its keys, and the components that those keys signed."""

    data: Path
    components: Path
    built: list[BuildResult]


@dataclass(frozen=True, slots=True)
class Project:
    """What POPs serve: slots and assets, pictures, pages, and the functions that decide before the shipped one."""

    catalogue: Path
    art: Path
    site: Path
    functions: tuple[str, ...]

    def but(
        self, catalogue: Path | None, art: Path | None, site: Path | None, functions: Sequence[str] | None
    ) -> "Project":
        """This project with what is not None replaced."""
        return Project(
            catalogue or self.catalogue,
            art or self.art,
            site or self.site,
            self.functions if functions is None else tuple(functions),
        )

    def options(self) -> tuple[str, ...]:
        """The same as options of `edge pop`."""
        chosen = (option for name in self.functions for option in ("--function", name))
        return ("--catalogue", str(self.catalogue), "--art", str(self.art), *chosen)


DEMO = Project(SHOP / CATALOGUE, ART, SHOP / "site", ())


def project_of(folder: Path) -> Project:
    """The project in a folder with a `catalogue.toml`, as `edge new` makes one; elsewhere the demo shop."""
    if not (folder / CATALOGUE).is_file():
        return DEMO
    site = folder / "site"
    return Project(
        folder / CATALOGUE, folder / "art", site if site.is_dir() else SHOP / "site", deciding_functions(folder)
    )


def deciding_functions(folder: Path) -> tuple[str, ...]:
    """The folder's own functions that decide for a category."""
    return tuple(name for name in function_names((folder,)) if find_function(name, (folder,)).category)


def prepare(data: Path, components: Path, console: Console, root: Path = Path(), project: Project = DEMO) -> Stage:
    """Make what is missing, with a progress bar per part. Raises: what the builder raises."""
    store = KeyStore.open(data, create=True)
    with show_progress(console) as progress:
        built = build(
            root=root, out=components, signer=store.current("component"), trust=store.trust_file(), progress=progress
        )
    if project.art == ART:
        paint(console)
    return Stage(data, components, built)


def paint(console: Console) -> None:
    """Paint the demo shop's pictures. Raises: Unavailable("art-failed").

    The demo ships as data and not as a package of the environment, so it runs in a process that can see it.
    """
    command = [sys.executable, "-P", "-m", "demo.art", str(ART)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = ""
    with (
        console.status("painting pictures …") as status,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as tool,
    ):
        for said in tool.stdout or ():
            status.update(f"painting pictures … {said.strip()}")
    if tool.returncode:
        raise Unavailable("art-failed", f"the pictures could not be painted: {said.strip()}")
