"""A component as a template: the places where a model's weights lie, and the same component with others in them.

    places = places_of(component, weights)       # each model's bytes and their base64, exactly once each
    other = baked(component, places, new)        # byte for byte, no compiler
    template_digest(component, places) == template_digest(other, places)

It works on the component (`.wasm`) and on its compiled form (`.cwasm`) alike, so that everybody can bake a release
again offline and compare. A guest holds a model's weights twice: as text in its source and as bytes in the memory that
it starts with.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consent_core.errors import Untrusted
from consent_core.formats.base64_text import write_base64
from consent_core.formats.canonical import sha256_digest
from consent_core.formats.fields import Fields

WEIGHTS: Final = 2048  # signed bytes of one model


@dataclass(frozen=True, slots=True)
class Place:
    """Where one model's weights begin: as bytes, and as base64 text."""

    raw: int
    text: int

    def to_json(self) -> dict[str, int]:
        """The members."""
        return {"raw": self.raw, "text": self.text}


Places = Mapping[str, Place]


def places_of(data: bytes, weights: Mapping[str, bytes]) -> dict[str, Place]:
    """Where the weights of each model lie. Raises: Untrusted("release-template") unless once each."""
    return {
        model: Place(_once(data, row, model), _once(data, write_base64(row).encode(), model))
        for model, row in sorted(weights.items())
    }


def baked(data: bytes, places: Places, weights: Mapping[str, bytes]) -> bytes:
    """The same component with other weights. Raises: Untrusted("release-template") where they do not fit."""
    if weights.keys() != places.keys() or any(len(row) != WEIGHTS for row in weights.values()):
        raise Untrusted("release-template", f"expected {WEIGHTS} bytes for each of {', '.join(sorted(places))}")
    made = bytearray(data)
    for model, row in weights.items():
        for begin, part in _parts(places[model], row):
            if not 0 <= begin <= len(made) - len(part):
                raise Untrusted("release-template", "a place beyond the component's end")
            made[begin : begin + len(part)] = part
    return bytes(made)


def template_digest(data: bytes, places: Places) -> str:
    """The digest of everything but the weights: equal for all releases of one template."""
    return sha256_digest(baked(data, places, dict.fromkeys(places, bytes(WEIGHTS))))


def read_places(value: Mapping[str, Any]) -> dict[str, Place]:
    """Places as `Place.to_json` writes them. Raises: Untrusted("release-malformed")."""
    return {model: _place(place) for model, place in value.items()}


def release_malformed(message: str) -> Untrusted:
    """The refusal of a release that is not of its form."""
    return Untrusted("release-malformed", message)


def _place(value: object) -> Place:
    fields = Fields(value, release_malformed, ("raw", "text"))
    return Place(fields.number("raw"), fields.number("text"))


def _parts(place: Place, row: bytes) -> Iterator[tuple[int, bytes]]:
    yield place.raw, row
    yield place.text, write_base64(row).encode()


def _once(data: bytes, part: bytes, model: str) -> int:
    if data.count(part) != 1:
        raise Untrusted("release-template", f"the weights of {model} lie in the component {data.count(part)} times")
    return data.index(part)
