"""From a finished visit to what leaves: image bytes, slot JSON, renditions by signed address.

The default is what the same call makes of "no decision": one recipe per slot, size and format, so one entry in the
asset cache and one `ETag` for everybody. Only `Server-Timing` and `Consent-Edge-Code` may differ between two defaults.
"""

from functools import lru_cache
from time import perf_counter

from consent_core.audit.recording import AuditContext
from consent_core.decision.contract import Decision
from consent_core.decision.request import Headers, read_query
from consent_core.decision.signals import page_context
from consent_core.decision.slot_json import REFRESH, SLOT_HEADERS, slot_body
from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.formats.rendition import (
    Recipe,
    RenditionKey,
    open_path,
    output_width,
    read_dpr,
    read_width,
)
from consent_core.http.answers import (
    IMMUTABLE,
    INERT,
    PRIVATE_REVALIDATE,
    Answer,
    Header,
    not_modified,
)
from consent_core.http.conditions import holds
from runtime_host.pop.images.cache import Rendition
from runtime_host.pop.images.loading import LoadedCatalogue
from runtime_host.pop.images.negotiation import negotiate
from runtime_host.pop.images.renderer import Renderer
from runtime_host.pop.serving.decisions import Shown
from runtime_host.pop.serving.lru import LruCache
from runtime_host.pop.serving.pipeline import TIMINGS, Pipeline, Place, Visit
from runtime_host.pop.serving.shared_cache import SharedCache
from runtime_host.pop.serving.stock import Stock

VARY: Header = (b"vary", b"Accept, Cookie, Authorization, Sec-GPC, Sec-CH-DPR, DPR, Save-Data")
VARY_RENDITION: Header = (b"vary", b"Accept")
MAX_REMEMBERED = 4_096  # recipes, slot bodies, signed paths and header lists, each

_IMAGE_HEADERS = (PRIVATE_REVALIDATE, VARY, *INERT)
_RENDITION_HEADERS = (IMMUTABLE, VARY_RENDITION, *INERT)

Size = tuple[int, str, str]  # device pixels, format, quality
MAX_HINT_BYTES = 16  # of a client hint; a longer one is no number, and is never remembered
_SERVER_TIMING = b", ".join(name.encode() + b";dur=%.3f" for name in TIMINGS)


class Delivery:
    """Images, slot decisions and renditions of one POP. `keys`: the first signs addresses, all open them.

    `shared_cache_s`: how long shared caches may keep a default, in seconds; 0: not at all.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        catalogue: LoadedCatalogue,
        renderer: Renderer,
        keys: tuple[RenditionKey, ...],
        shared_cache_s: int = 0,
    ) -> None:
        self._pipeline = pipeline
        self.stock = Stock.of(catalogue)
        self._renderer = renderer
        self._keys = keys
        self._shared = SharedCache(shared_cache_s) if shared_cache_s else None
        self._paths: LruCache[bytes, Recipe] = LruCache(MAX_REMEMBERED)
        self._images: LruCache[str, tuple[Header, ...]] = LruCache(MAX_REMEMBERED)

    def adopt(self, catalogue: LoadedCatalogue) -> None:
        """Show this catalogue from the next request on. What has begun ends with the one that it began with."""
        self.stock = Stock.of(catalogue)
        self._renderer.adopt(catalogue)

    async def image(self, slot: str, query: bytes, headers: Headers, context: AuditContext | None = None) -> Answer:
        """The bytes for this request: decided, rendered and checked once more.

        Raises: Rejected("unknown-slot", 404), ("bad-size"), ("credential-conflict").
        """
        stock, place = self.stock, self._place(slot)
        kind = negotiate(headers.get(b"accept", b"").decode("latin-1"))
        size = (_pixels(query, _density(headers), place.slot.width), kind, _quality(headers))
        visit = Visit(headers, place, page_context(query), context)
        await self._pipeline.decide(visit)
        rendition = self._at_hand(visit, stock, size) or await self._rendition(visit, stock, size)
        public = None if self._shared is None or visit.shown is not None else self._shared.headers(headers)
        if public is not None:
            return _unless_known(Answer(200, [*_describe_body(rendition), *public], rendition.body), rendition, headers)
        fixed = self._images.get(rendition.etag) or self._images.put(
            rendition.etag, (*_describe_body(rendition), *_IMAGE_HEADERS)
        )
        answer = Answer(200, [*fixed, *_own_headers(visit)], rendition.body)
        return _unless_known(answer, rendition, headers)

    async def slot(self, slot: str, query: bytes, headers: Headers, context: AuditContext | None = None) -> Answer:
        """The decision for this request as JSON. Raises: as `image`, but for sizes."""
        return (await self.decided(slot, query, headers, context))[1]

    async def decided(
        self, slot: str, query: bytes, headers: Headers, context: AuditContext | None = None
    ) -> tuple[Visit, Answer]:
        """The same with its visit, for a handler that asks `still_holds` before the first byte."""
        stock = self.stock
        visit = Visit(headers, self._place(slot), page_context(query), context)
        await self._pipeline.decide(visit)
        if not self._pipeline.still_holds(visit):
            visit.settle_for_default("revoked")
        body = self._slot_body(stock, slot, visit.shown or stock.defaults[slot])
        length = (b"content-length", str(len(body)).encode("ascii"))
        return visit, Answer(200, [*SLOT_HEADERS, length, *_own_headers(visit)], body)

    def still_holds(self, visit: Visit) -> bool:
        """Whether what was decided may leave now."""
        return self._pipeline.still_holds(visit)

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
        answer = Answer(200, (*_describe_body(rendition), *_RENDITION_HEADERS), rendition.body)
        return _unless_known(answer, rendition, headers)

    def _place(self, slot: str) -> Place:
        place = self.stock.places.get(slot)
        if place is None:
            raise Rejected("unknown-slot", "the catalogue has no such slot", status=404)
        return place

    def _at_hand(self, visit: Visit, stock: Stock, size: Size) -> Rendition | None:
        """What was decided, if it is rendered already and may leave now."""
        started = perf_counter()
        recipe = (visit.shown or stock.defaults[_slot_of(visit)]).recipes.get(size)
        rendition = None if recipe is None else self._renderer.cached(recipe)
        visit.spent[4] = perf_counter() - started
        return rendition if self._pipeline.still_holds(visit) else None

    async def _rendition(self, visit: Visit, stock: Stock, size: Size) -> Rendition:
        """Render what was decided; what fails or no longer holds becomes the default's rendition."""
        started, slot = perf_counter(), _slot_of(visit)
        if visit.shown is not None:
            try:
                rendition = await self._render(stock, visit.shown, slot, size)
                if self._pipeline.still_holds(visit):
                    visit.spent[4] = perf_counter() - started
                    return rendition
                visit.settle_for_default("revoked")
            except ConsentEdgeError as error:
                visit.settle_for_default(error.code)
        rendition = await self._render(stock, stock.defaults[slot], slot, size)
        visit.spent[4] = perf_counter() - started
        return rendition

    async def _render(self, stock: Stock, shown: Shown, slot: str, size: Size) -> Rendition:
        recipe = shown.recipes.get(size)
        if recipe is None:
            recipe = shown.recipes[size] = _recipe(stock.catalogue, slot, shown.decision, *size)
        return self._renderer.cached(recipe) or await self._renderer.render(recipe)

    def _slot_body(self, stock: Stock, slot: str, shown: Shown) -> bytes:
        if shown.body is None:
            shown.body = slot_body(stock.catalogue, self._keys[0], slot, shown.category, shown.decision)
        return shown.body


def _slot_of(visit: Visit) -> str:
    return "" if visit.place is None else visit.place.slot.name


def _recipe(
    catalogue: LoadedCatalogue, slot: str, decision: Decision | None, width: int, kind: str, quality: str
) -> Recipe:
    if decision is None:
        asset = catalogue.default(slot)
        return catalogue.recipe(slot, asset.id, width, format=kind, quality=quality, copy=asset.copies[0])
    return catalogue.recipe(
        slot,
        decision.asset,
        width,
        format=kind,
        quality=quality,
        adjustment=decision.adjustment,
        copy=decision.copy,
    )


def _describe_body(rendition: Rendition) -> tuple[Header, ...]:
    return (
        (b"content-type", rendition.content_type.encode("ascii")),
        (b"content-length", str(len(rendition.body)).encode("ascii")),
        (b"etag", rendition.etag.encode("ascii")),
    )


@lru_cache(maxsize=MAX_REMEMBERED)
def _pixels(query: bytes, hinted: float, slot_width: int) -> int:
    """Device pixels of the width asked for, one of the few steps there are. Raises: Rejected("bad-size")."""
    fields = read_query(query)
    width, dpr = fields.get("w"), fields.get("dpr")
    density = read_dpr(dpr) if dpr is not None else hinted
    return output_width(slot_width if width is None else read_width(width), density)


def _density(headers: Headers) -> float:
    """The screen's density as a step. A client hint is an offer, not an order: what is no number counts as 1."""
    header = headers.get(b"sec-ch-dpr") or headers.get(b"dpr")
    if header is None or len(header) > MAX_HINT_BYTES:
        return 1.0
    try:
        return read_dpr(header.decode("latin-1").strip())
    except Rejected:
        return 1.0


def _quality(headers: Headers) -> str:
    """Fewer bytes for a visitor whose browser says that they count (`Save-Data`, W3C Save Data API)."""
    return "low" if headers.get(b"save-data", b"").strip().lower() == b"on" else "standard"


def _own_headers(visit: Visit) -> list[Header]:
    """What may differ between two answers with the same bytes."""
    first, second, third, fourth, fifth = visit.spent
    spent = (1e3 * first, 1e3 * second, 1e3 * third, 1e3 * fourth, 1e3 * fifth)  # milliseconds
    own: list[Header] = [(b"server-timing", _SERVER_TIMING % spent)]
    if visit.code is not None:
        own.append((b"consent-edge-code", visit.code.encode("ascii")))
    if visit.shown is not None and visit.grant.refresh:
        own.append(REFRESH)
    return own


def _unless_known(answer: Answer, rendition: Rendition, headers: Headers) -> Answer:
    """304 if the client already holds these bytes (RFC 9110 section 13.1.2)."""
    known = holds(headers.get(b"if-none-match"), rendition.etag)
    return not_modified(answer.headers) if known else answer
