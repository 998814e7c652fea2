"""A new project: the template with its name filled in, and pictures to choose from.

    make_project(templates / "project", Path("hello"))

`__function__` in a path and `$function`, `$title` in a text become the project's; `.tmpl` falls off.
"""

import keyword
import re
from pathlib import Path
from string import Template

from consent_core.errors import Rejected
from dev_server.pictures import paint_pictures

SUFFIX = ".tmpl"
PLACEHOLDER = "__function__"
TAKEN = ("consent_validation", "personalization", "local_training", "edge_http", "verifier")

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


def make_project(template: Path, folder: Path) -> list[Path]:
    """Fill a folder that is not there yet, or empty. Returns what was written. Raises: Rejected("new-project")."""
    function = _function_name(folder.resolve().name)
    if folder.exists() and any(folder.iterdir()):
        raise Rejected("new-project", f"{folder} is not empty")
    names = {"function": function, "title": function.replace("_", " ").capitalize()}
    written = []
    for source in sorted(template.rglob(f"*{SUFFIX}")):
        path = str(source.relative_to(template)).removesuffix(SUFFIX).replace(PLACEHOLDER, function)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(source.read_text("utf-8")).substitute(names), "utf-8")
        written.append(target)
    return written + paint_pictures(folder / "art")


def _function_name(name: str) -> str:
    function = name.replace("-", "_")
    if not _NAME.fullmatch(name) or len(name) > 64 or keyword.iskeyword(function) or function in TAKEN:
        raise Rejected("new-project", f"{name!r}: expected a-z, 0-9 and inner hyphens, and none of {', '.join(TAKEN)}")
    return function
