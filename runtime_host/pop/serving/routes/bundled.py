"""What a page would like along with the answer to a choice: its slots' new decisions, and pictures on screen.

    "slots": [{"request": "home-hero?section=camping", "pixels": 721}], "accept": "image/avif,image/webp"

A decision that comes along saves the page a round trip, and so does a picture: between a click and the swap a phone
pays one trip instead of three. `pixels` 0: the decision alone.
"""

import asyncio
import base64
import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from consent_core.decision.request import Headers
from consent_core.errors import ConsentEdgeError
from runtime_host.pop.serving.delivery import Delivery
from runtime_host.pop.serving.pipeline import Visit

LOG = logging.getLogger("consent_edge.pop")

BUNDLED = ("slots", "accept")  # the members of a body that say so
MAX_SLOTS = 8
MAX_READ = 256  # entries of a list that are looked at
MAX_REQUEST = 4_096  # characters of one slot's request
WITHIN_S = 0.25  # for all of them together: the change itself has been made, and its answer must not wait
MAX_PIXELS = 4_096
MAX_INLINE_BYTES = 40_960  # of all pictures together: more would keep the first one waiting
NARROWER = 0.85  # a picture this much narrower than its space is not told apart, and has a third fewer bytes

_SLOT = re.compile(r"[a-z0-9-]{1,64}")
_TEXT = re.compile(r"[^\ud800-\udfff]*", re.DOTALL)  # an answer can repeat it: half a character has no UTF-8
_ACCEPT = re.compile(r"[\x20-\x7e]{0,256}")
_WIDTH = re.compile(r"(\S+) (\d+)w")


@dataclass(frozen=True, slots=True)
class BundledSlot:
    """One slot of the page: its request as the page spells it, and how many device pixels wide it is shown."""

    request: str
    pixels: int


@dataclass(frozen=True, slots=True)
class BundledDecisions:
    """Everything that should come along."""

    slots: tuple[BundledSlot, ...] = ()
    accept: str = ""


def read_bundled(body: Mapping[str, Any]) -> BundledDecisions:
    """The members `slots` and `accept` of a body, as far as they can be read: the rest is dropped, one by one."""
    slots, accept = body.get("slots"), body.get("accept")
    read = [_bundled_slot(item) for item in slots[:MAX_READ]] if isinstance(slots, list) else []
    kept = tuple(slot for slot in read if slot is not None)[:MAX_SLOTS]
    return BundledDecisions(kept, accept if isinstance(accept, str) and _ACCEPT.fullmatch(accept) else "")


def _bundled_slot(item: object) -> BundledSlot | None:
    if not isinstance(item, dict):
        return None
    request, pixels = item.get("request"), item.get("pixels", 0)
    if not isinstance(request, str) or len(request) > MAX_REQUEST or not _TEXT.fullmatch(request):
        return None
    if not _SLOT.fullmatch(request.partition("?")[0]):
        return None
    return BundledSlot(request, pixels if type(pixels) is int and 0 <= pixels <= MAX_PIXELS else 0)


async def decide_bundled(
    delivery: Delivery, bundled: BundledDecisions, headers: Headers, cookie: bytes | None
) -> list[dict[str, Any]]:
    """`{request, decision}` of each slot, as a visitor with this token cookie gets them; None is a visitor without.

    A slot that cannot be decided, or not in time, or whose consent was taken back while the others were decided, is
    left out: the page asks for it alone and hears why. Nothing may be awaited between this and the first byte.
    """
    asker = {name: value for name, value in headers.items() if name not in (b"authorization", b"cookie")}
    if cookie is not None:
        asker[b"cookie"] = cookie
    decided: list[tuple[Visit, dict[str, Any]]] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            await _decide_all(delivery, bundled, asker, decided)
    return [entry for visit, entry in decided if delivery.still_holds(visit)]


async def _decide_all(
    delivery: Delivery, bundled: BundledDecisions, asker: Headers, decided: list[tuple[Visit, dict[str, Any]]]
) -> None:
    room = MAX_INLINE_BYTES
    for slot in bundled.slots:
        name, _, query = slot.request.partition("?")
        try:
            visit, reply = await delivery.decided(name, query.encode("utf-8", "replace"), asker)
            decision = json.loads(reply.body)
            decided.append((visit, {"request": slot.request, "decision": decision}))
            room -= await _add_picture(delivery, decision["rendition"], slot.pixels, bundled.accept, room)
        except ConsentEdgeError:
            continue
        except Exception:
            LOG.exception("a decision that should come along failed")


async def _add_picture(delivery: Delivery, rendition: dict[str, Any], pixels: int, accept: str, room: int) -> int:
    """Add the bytes of the narrowest rendition that fills `pixels`, if they fit into `room`. Returns their number."""
    if pixels == 0:
        return 0
    path = _fitting(rendition["srcset"], pixels)
    reply = await delivery.rendition(path.encode("ascii"), b"", {b"accept": accept.encode("ascii")})
    if len(reply.body) > room:
        return 0
    kind = dict(reply.headers)[b"content-type"].decode("ascii")
    rendition["inline"] = {"type": kind, "base64": base64.b64encode(reply.body).decode("ascii")}
    return len(reply.body)


def _fitting(srcset: str, pixels: int) -> str:
    """The address of the narrowest picture that fills `pixels`; else of the widest."""
    sizes: list[tuple[int, str]] = sorted((int(width), path) for path, width in _WIDTH.findall(srcset))
    return next((path for width, path in sizes if width >= NARROWER * pixels), sizes[-1][1])
