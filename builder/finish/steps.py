"""The order of the steps, and what a build says of them.

A step that meets something it was not written for refuses, and the component goes on as the step before left it.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder import toolchain
from builder.finish.component import read_wiring
from builder.finish.link import link
from consent_core.errors import Rejected

LINK = "link"
LINKING_WORLD = "consent-edge-linking"


@dataclass(frozen=True, slots=True)
class Finished:
    """`steps` that were taken, in order. `refused`: step -> why it was left out."""

    steps: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def finish(bare: Path, wit: Path, worlds: tuple[str, ...], output: Path) -> Finished:
    """Finish what componentize-py made. `worlds`: together they name everything that it imports and exports.

    Raises: Rejected("build-failed"), Unavailable("build-tool") when a tool cannot do its part.
    """
    try:
        core = link(read_wiring(bare.read_bytes()))
    except Rejected as refusal:
        shutil.copyfile(bare, output)
        return Finished(refused={LINK: refusal.message})
    _wrap(core, wit, worlds, output)
    return Finished((LINK,))


def _wrap(core: bytes, wit: Path, worlds: tuple[str, ...], component: Path) -> None:
    """The core module as a component again."""
    linked = component.with_suffix(".core")
    linked.write_bytes(core)
    included = "".join(f"  include {world};\n" for world in dict.fromkeys(worlds))
    (wit / "linking.wit").write_text(f"world {LINKING_WORLD} {{\n{included}}}\n", encoding="utf-8")
    toolchain.wrap_core(linked, wit, LINKING_WORLD, component)
    (wit / "linking.wit").unlink()
