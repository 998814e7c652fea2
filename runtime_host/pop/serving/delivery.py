"""From a finished visit to what leaves: image bytes, slot JSON, renditions by signed address.

The default is what the same call makes of "no decision": one recipe per slot, size and format, so one entry in the
asset cache and one `ETag` for everybody. Only `Server-Timing` and `Consent-Edge-Code` may differ between two defaults.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from time import perf_counter
from typing import Generic, TypeVar

from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.formats.rendition import Recipe, RenditionKey, open_path, read_dpr, read_width, sign_path
from runtime_host.pop.images.cache import Rendition
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.images.negotiation import negotiate
from runtime_host.pop.images.renderer import Renderer
from runtime_host.pop.serving.answers import (
    IMMUTABLE,
    INERT,
    JSON,
    PRIVATE,
    PRIVATE_REVALIDATE,
    Answer,
    Header,
    not_modified,
    to_json,
)
from runtime_host.pop.serving.ingress import Headers, read_query
from runtime_host.pop.serving.pipeline import TIMINGS, Pipeline, Place, Visit
from runtime_host.pop.serving.signals import page_context
from runtime_host.wasm.contract import Decision

VARY: Header = (b"vary", b"Accept, Cookie, Authorization, Sec-GPC, DPR")
VARY_SLOT: Header = (b"vary", b"Cookie, Authorization, Sec-GPC")
VARY_RENDITION: Header = (b"vary", b"Accept")
REFRESH: Header = (b"consent-refresh", b"1")
MAX_REMEMBERED = 4_096  # recipes, slot bodies, signed paths and header lists, each

_IMAGE_HEADERS = (PRIVATE_REVALIDATE, VARY, *INERT)
_RENDITION_HEADERS = (IMMUTABLE, VARY_RENDITION, *INERT)
_SLOT_HEADERS = (JSON, PRIVATE, VARY_SLOT, *INERT)

_SERVER_TIMING = b", ".join(name.encode() + b";dur=%.3f" for name in TIMINGS)

K = TypeVar("K")
V = TypeVar("V")
RecipeKey = tuple[str, Decision | None, int | None, float, str]


class Delivery:
    """Images, slot decisions and renditions of one POP. `keys`: the first signs addresses, all open them."""

    def __init__(
        self,
        pipeline: Pipeline,
        places: Mapping[str, Place],
        catalogue: LoadedCatalogue,
        renderer: Renderer,
        keys: tuple[RenditionKey, ...],
    ) -> None:
        self._pipeline = pipeline
        self._places = places
        self._catalogue = catalogue
        self._renderer = renderer
        self._keys = keys
        self._recipes: Remembered[RecipeKey, Recipe] = Remembered(MAX_REMEMBERED)
        self._bodies: Remembered[tuple[str, str, Decision | None], bytes] = Remembered(MAX_REMEMBERED)
        self._paths: Remembered[bytes, Recipe] = Remembered(MAX_REMEMBERED)
        self._headers: Remembered[str, tuple[Header, ...]] = Remembered(MAX_REMEMBERED)

    async def image(self, slot: str, query: bytes, headers: Headers) -> Answer:
        """The bytes for this request: decided, rendered and checked once more.

        Raises: Rejected("unknown-slot", 404), ("bad-size"), ("bad-query"), ("bad-context"), ("credential-conflict").
        """
        width, dpr = _size(query, headers.get(b"dpr"))
        kind = negotiate(headers.get(b"accept", b"").decode("latin-1"))
        visit = Visit(headers, self._place(slot), page_context(query))
        await self._pipeline.decide(visit)
        rendition = await self._rendition(visit, slot, width, dpr, kind)
        fixed = self._fixed_headers(rendition, _IMAGE_HEADERS)
        answer = Answer(200, [*fixed, *_own_headers(visit)], rendition.body)
        return _unless_known(answer, rendition, headers)

    async def slot(self, slot: str, query: bytes, headers: Headers) -> Answer:
        """The decision for this request as JSON. Raises: as `image`, but for sizes."""
        visit = Visit(headers, self._place(slot), page_context(query))
        await self._pipeline.decide(visit)
        if not self._pipeline.still_holds(visit):
            visit.settle_for_default("revoked")
        body = self._slot_body(slot, visit)
        length = (b"content-length", str(len(body)).encode("ascii"))
        return Answer(200, [*_SLOT_HEADERS, length, *_own_headers(visit)], body)

    async def rendition(self, path: bytes, query: bytes, headers: Headers) -> Answer:
        """The bytes of a signed recipe. Reads no cookie: who asks does not matter.

        Raises: Rejected("rendition-signature", 403), Rejected("rendition-recipe", 404), Unavailable.
        """
        if query:
            raise Rejected("rendition-signature", "this address was not signed here", status=403)
        recipe = self._paths.get(path) or self._paths.put(path, open_path(path, self._keys))
        if recipe.format == "auto":
            recipe = recipe.in_format(negotiate(headers.get(b"accept", b"").decode("latin-1")))
        rendition = self._renderer.cached(recipe) or await self._renderer.render(recipe)
        answer = Answer(200, self._fixed_headers(rendition, _RENDITION_HEADERS), rendition.body)
        return _unless_known(answer, rendition, headers)

    def describe(self, slot: str, visit: Visit) -> bytes:
        """The slot JSON of a visit that was decided."""
        return self._slot_body(slot, visit)

    def _place(self, slot: str) -> Place:
        place = self._places.get(slot)
        if place is None:
            raise Rejected("unknown-slot", "the catalogue has no such slot", status=404)
        return place

    async def _rendition(self, visit: Visit, slot: str, width: int | None, dpr: float, kind: str) -> Rendition:
        """Render what was decided; whatever fails or no longer holds becomes the default's rendition."""
        started = perf_counter()
        if visit.decision is not None:
            try:
                rendition = await self._render(visit.decision, slot, width, dpr, kind)
                if self._pipeline.still_holds(visit):
                    visit.spent[4] = perf_counter() - started
                    return rendition
                visit.settle_for_default("revoked")
            except ConsentEdgeError as error:
                visit.settle_for_default(error.code)
        rendition = await self._render(None, slot, width, dpr, kind)
        visit.spent[4] = perf_counter() - started
        return rendition

    async def _render(
        self, decision: Decision | None, slot: str, width: int | None, dpr: float, kind: str
    ) -> Rendition:
        key = (slot, decision, width, dpr, kind)
        recipe = self._recipes.get(key) or self._recipes.put(key, self._recipe(slot, decision, width, dpr, kind))
        return self._renderer.cached(recipe) or await self._renderer.render(recipe)

    def _recipe(self, slot: str, decision: Decision | None, width: int | None, dpr: float, kind: str) -> Recipe:
        if decision is None:
            asset = self._catalogue.default(slot)
            return self._catalogue.recipe(slot, asset.id, width, dpr, format=kind, copy=asset.copies[0])
        return self._catalogue.recipe(
            slot, decision.asset, width, dpr, format=kind, adjustment=decision.adjustment, copy=decision.copy
        )

    def _slot_body(self, slot: str, visit: Visit) -> bytes:
        key = (slot, visit.category, visit.decision)
        return self._bodies.get(key) or self._bodies.put(key, to_json(self._describe(*key)))

    def _describe(self, slot: str, category: str, decision: Decision | None) -> dict[str, object]:
        if decision is None:
            shown = self._catalogue.default(slot)
            asset, copy, look, reason = shown.id, shown.copies[0], None, "default"
        else:
            asset, copy, look = decision.asset, decision.copy, decision.adjustment
            reason = "explored" if decision.explored else "decided"
        key = self._keys[0]
        recipes = self._catalogue.srcset(slot, asset, adjustment=look, copy=copy)
        widest = self._catalogue.recipe(slot, asset, adjustment=look, copy=copy)
        return {
            "slot": slot,
            "asset": asset,
            "rendition": {
                "url": sign_path(widest, key),
                "srcset": ", ".join(f"{sign_path(recipe, key)} {recipe.width}w" for recipe in recipes),
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

    def _fixed_headers(self, rendition: Rendition, rest: tuple[Header, ...]) -> tuple[Header, ...]:
        """Everything that is the same for all who get these bytes on this route."""
        name = rest[0][1].decode() + rendition.etag
        return self._headers.get(name) or self._headers.put(
            name,
            (
                (b"content-type", rendition.content_type.encode("ascii")),
                (b"content-length", str(len(rendition.body)).encode("ascii")),
                (b"etag", rendition.etag.encode("ascii")),
                *rest,
            ),
        )


class Remembered(Generic[K, V]):
    """A small bounded memory of values that can be made again; the least recently used one gives way."""

    __slots__ = ("_entries", "_kept")

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, if it is still here."""
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> V:
        """Keep a value and hand it back."""
        self._kept[key] = value
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return value


@lru_cache(maxsize=MAX_REMEMBERED)
def _size(query: bytes, dpr_header: bytes | None) -> tuple[int | None, float]:
    """CSS pixels (None: the slot's own) and device pixel ratio. Raises: Rejected("bad-size")."""
    fields = read_query(query)
    width = fields.get("w")
    dpr = fields.get("dpr")
    if dpr is None and dpr_header is not None:
        return None if width is None else read_width(width), _hinted_dpr(dpr_header)
    return None if width is None else read_width(width), 1.0 if dpr is None else read_dpr(dpr)


def _hinted_dpr(header: bytes) -> float:
    """A client hint is an offer, not an order: what is not a known step counts as 1."""
    try:
        return read_dpr(header.decode("latin-1").strip())
    except Rejected:
        return 1.0


def _own_headers(visit: Visit) -> list[Header]:
    """What may differ between two answers with the same bytes."""
    own: list[Header] = [(b"server-timing", _SERVER_TIMING % tuple(1000 * seconds for seconds in visit.spent))]
    if visit.code is not None:
        own.append((b"consent-edge-code", visit.code.encode("ascii")))
    if visit.decision is not None and visit.grant.refresh:
        own.append(REFRESH)
    return own


def _unless_known(answer: Answer, rendition: Rendition, headers: Headers) -> Answer:
    """304 if the client already holds these bytes (RFC 9110 section 13.1.2)."""
    condition = headers.get(b"if-none-match")
    if condition is None:
        return answer
    known = {tag.strip().removeprefix("W/") for tag in condition.decode("latin-1").split(",")}
    return not_modified(answer.headers) if rendition.etag in known or "*" in known else answer
