"""A POP whose catalogue changes while it serves: requests move to the next edition at once, without a 503."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from consent_core.formats.catalogue import Catalogue
from runtime_host.pop.images.gallery import Gallery, Originals
from runtime_host.pop.images.libvips import Image
from runtime_host.pop.images.pools import RenderThreads
from tests.runtime_host.pop.edge import FIELDS, TAGS, ask, make_edge

SLOT, IMAGE = "/v1/slots/home-hero?ctx.cat=camping", "/v1/images/home-hero?ctx.cat=camping&w="
CATALOGUE = """
version = 1
[[slot]]
name = "home-hero"
category = "contextual"
fallback = []
width = 120
height = 80
default = "plain"
candidates = ["tents", "boats"]
overlay = "none"
background = "#000000"
"""
ASSET = """
[[asset]]
id = "{0}"
file = "{0}.jpg"
tags = {1}
copies = ["About {0}"]
focal = [0.5, 0.5]
alt = "{0}"
"""


def paint(art, name, grey):
    image = Image.new_from_array(np.full((80, 120, 3), grey, np.uint8), interpretation="srgb")
    (art / f"{name}.jpg").write_bytes(image.jpegsave_buffer())


@pytest.fixture
def live(tmp_path, run):
    """A POP with a gallery of three pictures, in sync; its catalogue is looked at when a test says so."""
    art = tmp_path / "originals"
    art.mkdir()
    shown = ("plain", "tents", "boats")
    for name in shown:
        paint(art, name, FIELDS[name])
    text = CATALOGUE + "".join(ASSET.format(name, str([*TAGS[name]]).replace("'", '"')) for name in shown)
    (tmp_path / "catalogue.toml").write_text(text)
    pool = RenderThreads()
    gallery = Gallery(tmp_path / "pictures", Originals(tmp_path / "catalogue.toml", art), pool)
    parts = {"gallery": gallery, "renderers": pool}
    edge = make_edge(tmp_path / "pop", run(gallery.load()), parts=parts)
    run(edge.sync())
    yield SimpleNamespace(edge=edge, art=art, look=edge.pop.catalogue.look, file=tmp_path / "catalogue.toml")
    run(edge.pop.stop())


def test_a_default_overwritten_in_place_is_the_next_default(live, run):
    """At sizes cached and not, with and without consent; the old one is shown until the new one is checked."""

    async def story():
        old = await live.edge.get(f"{IMAGE}120")
        paint(live.art, "plain", 10)
        between = await live.edge.get(f"{IMAGE}480")
        await live.look()
        new = [await live.edge.get(f"{IMAGE}{width}") for width in (120, 480)]
        no = [await live.edge.get(f"{IMAGE}120", live.edge.token()), await live.edge.get(f"{IMAGE}120", "forged")]
        return old, between, new, no

    old, between, new, no = run(story())
    assert (old.status, between.status, *(reply.status for reply in new)) == (200, 200, 200, 200)
    assert old.body != new[0].body
    assert no[0].fixed == no[1].fixed == new[0].fixed


def test_a_broken_default_is_shown_as_it_was_and_said(live, run):
    """At sizes that were not asked for before, too. The POP stays in service and says what is broken."""

    async def story():
        (live.art / "plain.jpg").write_bytes(b"no picture")
        await live.look()
        replies = [await live.edge.get(f"{IMAGE}{width}") for width in (120, 320, 640, 960)]
        ready = await ask(live.edge.pop.admin_app, "GET", "/readyz")
        page = (await ask(live.edge.pop.admin_app, "GET", "/metrics")).body
        return replies, ready, page

    replies, ready, page = run(story())
    assert {reply.status for reply in replies} == {200}
    assert (ready.status, ready.json()["stay"]) == (200, {"catalogue-broken": "plain"})
    assert ready.json()["catalogue"]["plain"].startswith("plain.jpg: not a JPEG")
    assert b"consent_edge_catalogue_faults{" in page


def test_what_was_decided_for_one_edition_is_not_remembered_for_the_next(live, run):
    """The same visitor, the same signals: the address is of the new picture, and the old one still opens."""

    async def story():
        yes = live.edge.token("contextual")
        before = (await live.edge.get(SLOT, yes)).json()
        paint(live.art, before["asset"], 33)
        await live.look()
        after = (await live.edge.get(SLOT, yes)).json()
        opened = [await live.edge.get(decided["rendition"]["url"]) for decided in (before, after)]
        return before, after, opened

    before, after, opened = run(story())
    assert before["asset"] == after["asset"]
    assert before["rendition"]["url"] != after["rendition"]["url"]
    assert [reply.status for reply in opened] == [200, 200]
    assert opened[0].body != opened[1].body


def test_a_request_ends_with_the_edition_that_it_began_with(live, run):
    """A catalogue without the slot takes over while a picture is rendered: the picture is shown all the same."""

    async def story():
        delivery = live.edge.pop.delivery
        asked = asyncio.create_task(live.edge.get(f"{IMAGE}824"))
        await asyncio.sleep(0)
        stock = delivery.stock.catalogue
        delivery.adopt(type(stock)(Catalogue({}, {}), {}))
        return await asked, await live.edge.get(f"{IMAGE}824")

    begun, later = run(story())
    assert (begun.status, later.status) == (200, 404)
