"""The slot answer: what `GET /v1/slots/{slot}` says of a decision or of none, on a POP and on an edge."""

from typing import Final

from consent_core.decision.contract import Decision
from consent_core.formats.recipes import Recipes
from consent_core.formats.rendition import RenditionKey, sign_path
from consent_core.http.answers import (
    INERT,
    JSON,
    PRIVATE,
    Header,
    to_json,
)

VARY_SLOT: Header = (b"vary", b"Cookie, Authorization, Sec-GPC")
REFRESH: Header = (b"consent-refresh", b"1")
SLOT_HEADERS: Final = (JSON, PRIVATE, VARY_SLOT, *INERT)


def slot_body(recipes: Recipes, key: RenditionKey, slot: str, category: str, decision: Decision | None) -> bytes:
    """The JSON of one decision, None for the default. `key` signs the addresses of its renditions."""
    return to_json(_describe(recipes, key, slot, category, decision))


def _describe(
    recipes: Recipes, key: RenditionKey, slot: str, category: str, decision: Decision | None
) -> dict[str, object]:
    if decision is None:
        shown = recipes.default(slot)
        asset, copy, look, reason = shown.id, shown.copies[0], None, "default"
    else:
        asset, copy, look = decision.asset, decision.copy, decision.adjustment
        reason = "explored" if decision.explored else "decided"
    widest = recipes.recipe(slot, asset, adjustment=look, copy=copy)
    steps = recipes.srcset(slot, asset, adjustment=look, copy=copy)
    return {
        "slot": slot,
        "asset": asset,
        "rendition": {
            "url": sign_path(widest, key),
            "srcset": ", ".join(f"{sign_path(recipe, key)} {recipe.width}w" for recipe in steps),
        },
        "copy": copy,
        "adjustment": {
            "brightness": 0 if look is None else look.brightness,
            "saturation": 0 if look is None else look.saturation,
            "warmth": 0 if look is None else look.warmth,
        },
        "category": category,
        "reason": reason,
    }
