"""The order of the steps, and what a build says of them.

A step that meets something it was not written for refuses, and the component goes on as the step before left it.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder import toolchain
from builder.finish.component import read_wiring
from builder.finish.image import Taken, take_image
from builder.finish.interpreter import PYTHON
from builder.finish.link import link
from consent_core.errors import Rejected

LINK = "link"
LINKING_WORLD = "consent-edge-linking"


@dataclass(frozen=True, slots=True)
class Finished:
    """`steps` that were taken, in order. `refused`: step -> why it was left out."""

    steps: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def finish(bare: Path, wit: Path, worlds: tuple[str, ...], output: Path, *, portable: bool = False) -> Finished:
    """Finish what componentize-py made. `worlds`: together they name everything that it imports and exports.

    `portable`: for hosts that may keep an instance, so its memory is left as it is.

    Raises: Rejected("build-failed"), Unavailable("build-tool") when a tool cannot do its part.
    """
    try:
        core = link(read_wiring(bare.read_bytes()), () if portable else PYTHON)
    except Rejected as refusal:
        shutil.copyfile(bare, output)
        return Finished(refused={LINK: refusal.message})
    taken = Taken(core) if portable else take_image(core, toolchain.wit_of(bare))
    _wrap(taken.core, wit, worlds, output)
    return Finished((LINK, *taken.steps), taken.refused)


def _wrap(core: bytes, wit: Path, worlds: tuple[str, ...], component: Path) -> None:
    """The core module as a component again."""
    linked = component.with_suffix(".core")
    linked.write_bytes(core)
    included = "".join(f"  include {world};\n" for world in dict.fromkeys(worlds))
    (wit / "linking.wit").write_text(f"world {LINKING_WORLD} {{\n{included}}}\n", encoding="utf-8")
    toolchain.wrap_core(linked, wit, LINKING_WORLD, component)
    (wit / "linking.wit").unlink()
