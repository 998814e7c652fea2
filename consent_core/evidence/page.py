"""The verdict as one HTML page: the same sentences, the file's digest, no script and nothing from elsewhere.

    html = page(verdict, by_operator=True)

A page proves nothing: it says so, and names the file that does.
"""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from consent_core.evidence.sentences import moment_of
from consent_core.evidence.verdict import Verdict

OPERATOR = "Printed by the operator; proves nothing; verify the JSON file."
READER = "Printed by who ran the verification; proves nothing to others; verify the JSON file."


def page(verdict: Verdict, by_operator: bool = True) -> str:
    """The page of one verdict. Two calls with the same verdict give the same text."""
    return _template().render(verdict=verdict, by=OPERATOR if by_operator else READER)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("consent_core.evidence"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["when"] = _when
    environment.filters["dated"] = _dated
    return environment.get_template("verdict.html.j2")


_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d UTC)?)")


def _dated(text: str) -> list[str]:
    """A sentence cut at its dates, which no line may break apart: every second part is one."""
    return _MOMENT.split(text)


def _when(seconds: int | None) -> str:
    return moment_of(seconds or 0) or "–"
