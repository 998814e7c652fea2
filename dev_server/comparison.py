"""The same inputs to the Python you see and to the component that would be deployed, and where they differ.

    differences = compare(native, component, probes(catalogue))

A function may see that it is in a sandbox (`sys.platform`, the size of an int, a module's state that a fresh instance
does not have). Then what is tried here is not what visitors get, and this is where it shows.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from consent_core.formats.catalogue import ARM_TAG, Asset, Catalogue, Slot
from dev_server.workbench import answer
from runtime_host.wasm.functions import Runner

ENTROPIES = (0, 15)
MAX_PROBES = 96  # of about 2 ms each in a fresh sandbox

Request = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One request that is not decided alike. `native`, `component`: the decision, or the code of a refusal."""

    request: Request
    native: Any
    component: Any

    def to_json(self) -> dict[str, Any]:
        """As the page and `--json` show it."""
        return asdict(self)


def compare(native: Runner, component: Runner, requests: Iterable[Request]) -> list[Difference]:
    """Every request that the two do not decide alike."""
    pairs = ((request, answer(native, request).outcome(), answer(component, request).outcome()) for request in requests)
    return [Difference(request, mine, theirs) for request, mine, theirs in pairs if mine != theirs]


def probes(catalogue: Catalogue) -> list[Request]:
    """A few requests per slot: nothing known, and each candidate's own tags as page, as history and as arm."""
    made = [request for slot in catalogue.slots.values() for request in _of_slot(catalogue, slot)]
    return made[:MAX_PROBES]


def request_of(catalogue: Catalogue, slot: str, signals: Mapping[str, Any], entropy: int) -> Request:
    """A request with the slot's candidates. Raises: Rejected("unknown-slot")."""
    candidates = [
        {"asset": asset.id, "tags": list(asset.tags), "copies": list(asset.copies)}
        for asset in catalogue.candidates(slot)
    ]
    return {"slot": slot, "signals": signals, "candidates": candidates, "entropy": entropy}


def _of_slot(catalogue: Catalogue, slot: Slot) -> Iterator[Request]:
    situations = [page_signals(()), *(_signals(slot, asset) for asset in catalogue.candidates(slot.name))]
    for entropy in ENTROPIES:
        for signals in situations:
            yield request_of(catalogue, slot.name, signals, entropy)


def _signals(slot: Slot, asset: Asset) -> dict[str, Any]:
    """What a visitor who goes with this asset might have shown."""
    arms = [tag.removeprefix(ARM_TAG) for tag in asset.tags if tag.startswith(ARM_TAG)]
    signals = page_signals(tuple(tag for tag in asset.tags if not tag.startswith(ARM_TAG)))
    if slot.category == "behavioral":
        signals["history"] = [{"kind": "purchase", "item": asset.id, "tags": list(asset.tags), "days_ago": 1}]
    if slot.category == "experimental" and arms and slot.experiment is not None:
        signals["experiment"] = {"experiment": slot.experiment.name, "arm": arms[0]}
    return signals


def page_signals(tags: tuple[str, ...]) -> dict[str, Any]:
    """Signals of a visitor whose page alone is known."""
    return {"page": {"path": "/", "section": tags[0] if tags else "", "tags": list(tags[1:]), "language": "en"}}
