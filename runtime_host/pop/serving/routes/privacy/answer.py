"""The answer to an access request as a page that a person reads and prints: what every place holds, and what is told.

    html = answer_page("dsar-20270115-7EFRCS4B", {"part edge/tokyo-1": b"{…}", …}, TEXTS["en"])

It is made of the opened parts alone; a part that cannot be read is named on it.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from consent_core.errors import ConsentEdgeError
from consent_core.formats.canonical import read_json_object

MAX_PART_BYTES = 64 * 2**20
MAX_SHOWN = 200  # lines of one history; the file has all
TOLD = (
    "purposes", "categories_of_data", "recipients", "retention_days", "source", "automated_decisions", "transfers",
    "rights", "complaint", "sold_or_shared", "look_back_days",
)  # fmt: skip


def answer_page(request: str, parts: Mapping[str, bytes], t: Mapping[str, str]) -> str:
    """The whole page."""
    opened = {what.removeprefix("part "): _read(data) for what, data in sorted(parts.items())}
    own = next((part for part in opened.values() if part is not None and "data" in part), {})
    places = [_place(name, part) for name, part in opened.items() if part is None or "data" not in part]
    told = [(name, own[name]) for name in TOLD if name in own]
    data = own.get("data", {})
    proofs = Counter(str(proof.get("kind")) for proof in data.get("proofs", ()))
    return _template().render(request=request, data=data, proofs=proofs, places=places, told=told, t=t)


def _place(name: str, part: Mapping[str, Any] | None) -> dict[str, Any]:
    if part is None:
        return {"name": name, "is_readable": False, "lines": [], "records": 0}
    history = part.get("history", {})
    lines = [{**one, "category": category} for category, kept in history.items() for one in kept]
    newest = sorted(lines, key=lambda one: -int(one["at"]))[:MAX_SHOWN]
    return {"name": name, "is_readable": True, "lines": newest, "records": len(part.get("records", ()))}


def _read(data: bytes) -> dict[str, Any] | None:
    try:
        return dict(read_json_object(data, MAX_PART_BYTES))
    except (ConsentEdgeError, ValueError):
        return None


@cache
def _template() -> Template:
    loader = PackageLoader("runtime_host.pop.serving.routes.privacy")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["when"] = lambda seconds: f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M} UTC"
    return environment.get_template("answer.html.j2")
