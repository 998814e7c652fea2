"""What a page would like along with the answer to a choice: its slots' new decisions, and pictures on screen.

    "slots": [{"request": "home-hero?section=camping", "pixels": 721}], "accept": "image/avif,image/webp"

A decision that comes along saves the page a round trip, and so does a picture: between a click and the swap a phone
pays one trip instead of three. `pixels` 0: the decision alone.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from consent_core.decision.request import Headers
from consent_core.errors import ConsentEdgeError, Rejected
from consent_core.formats.fields import Fields
from runtime_host.pop.serving.delivery import Delivery

BUNDLED = ("slots", "accept")  # the members of a body that say so
MAX_SLOTS = 8
MAX_PIXELS = 4_096
MAX_INLINE_BYTES = 40_960  # of all pictures together: more would keep the first one waiting
NARROWER = 0.85  # a picture this much narrower than its space is not told apart, and has a third fewer bytes

_SLOT_REQUEST = re.compile(r"[a-z0-9-]{1,64}(?:\?[\x21-\x7e]{0,1024})?")
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


def read_bundled(fields: Fields) -> BundledDecisions:
    """The members `slots` and `accept` of a body. Raises: what `fields` refuses with."""
    if fields.absent("slots"):
        return BundledDecisions()
    slots = tuple(_bundled_slot(item) for item in fields.items("slots", MAX_SLOTS))
    return BundledDecisions(slots, "" if fields.absent("accept") else fields.matching("accept", _ACCEPT))


def _bundled_slot(item: object) -> BundledSlot:
    fields = Fields(item, _refuse, ("request",), ("pixels",))
    pixels = 0 if fields.absent("pixels") else fields.number("pixels")
    if pixels > MAX_PIXELS:
        raise _refuse(f"pixels: expected at most {MAX_PIXELS}")
    return BundledSlot(fields.matching("request", _SLOT_REQUEST), pixels)


def _refuse(message: str) -> Rejected:
    return Rejected("bad-request", f"slots: {message}")


async def decide_bundled(
    delivery: Delivery, bundled: BundledDecisions, headers: Headers, cookie: bytes | None
) -> list[dict[str, Any]]:
    """`{request, decision}` of each slot, as a visitor with this token cookie gets them; None is a visitor without.

    A slot that cannot be decided, or whose consent was taken back while the others were decided, is left out: the page
    asks for it alone and hears why. Nothing may be awaited between this and the first byte.
    """
    asker = {name: value for name, value in headers.items() if name not in (b"authorization", b"cookie")}
    if cookie is not None:
        asker[b"cookie"] = cookie
    decided, room = [], MAX_INLINE_BYTES
    for bundled_slot in bundled.slots:
        name, _, query = bundled_slot.request.partition("?")
        try:
            visit, reply = await delivery.decided(name, query.encode("ascii"), asker)
            decision = json.loads(reply.body)
            room -= await _add_picture(delivery, decision["rendition"], bundled_slot.pixels, bundled.accept, room)
        except ConsentEdgeError:
            continue
        decided.append((visit, {"request": bundled_slot.request, "decision": decision}))
    return [entry for visit, entry in decided if delivery.still_holds(visit)]


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
