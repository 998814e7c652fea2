"""The POPs' Prometheus pages, read every few seconds. A POP that does not answer is named, and has no figures.

    pages = Pages({"tokyo-1": "http://127.0.0.1:8881/metrics"})
    pages.latest["tokyo-1"]        # tuple[Sample, ...], or None

Trust: what a page says is shown and decides nothing. At most `MAX_BYTES` of it are read.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

EVERY_S = 5.0
TIMEOUT_S = 10.0
MAX_BYTES = 4 * 2**20

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a page."""

    name: str
    labels: Mapping[str, str]
    value: float


Samples = tuple[Sample, ...]


@dataclass(slots=True)
class Pages:
    """`targets`: POP -> address of its page. `latest`: None where the last attempt failed, or none was made yet."""

    targets: Mapping[str, str]
    latest: dict[str, Samples | None] = field(default_factory=dict)

    async def look_forever(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            while True:
                await asyncio.gather(*(self.look(client, pop) for pop in self.targets))
                await asyncio.sleep(EVERY_S)

    async def look(self, client: httpx.AsyncClient, pop: str) -> None:
        """Read one page."""
        try:
            self.latest[pop] = read_page(await _text(client, self.targets[pop]))
        except (httpx.HTTPError, ValueError) as error:
            LOG.info("no figures of %s: %s", pop, error)
            self.latest[pop] = None


def read_page(text: str) -> Samples:
    """Every sample. Raises: ValueError."""
    families = text_string_to_metric_families(text)
    return tuple(Sample(one.name, one.labels, one.value) for family in families for one in family.samples)


async def _text(client: httpx.AsyncClient, url: str) -> str:
    body = bytearray()
    async with client.stream("GET", url) as answer:
        answer.raise_for_status()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
    return body.decode()
