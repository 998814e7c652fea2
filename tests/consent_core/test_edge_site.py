"""The edge site: the catalogue for edges without pictures."""

from pathlib import Path

import pytest

from consent_core.errors import Rejected
from consent_core.formats.catalogue import parse_catalogue
from consent_core.formats.edge_site import EdgeSite, NamedPicture

CATALOGUE = Path(__file__).parents[2] / "demo" / "catalogue.toml"


@pytest.fixture
def site():
    catalogue = parse_catalogue(CATALOGUE.read_bytes())
    return EdgeSite.of(catalogue, {asset: NamedPicture(f"{n:032x}") for n, asset in enumerate(catalogue.assets)})


def test_a_site_survives_its_bytes(site):
    """What recipes are made of comes back: slots, candidates, copies, focal points, sources."""
    again = EdgeSite.from_bytes(site.to_bytes())
    assert again.to_bytes() == site.to_bytes()
    for name, slot in site.catalogue.slots.items():
        for asset in slot.candidates:
            copy = site.catalogue.assets[asset].copies[0]
            assert again.srcset(name, asset, copy=copy) == site.srcset(name, asset, copy=copy)
        assert again.slot(name).experiment == slot.experiment
        assert again.default(name).id == slot.default


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version":2}', b'{"version":1,"assets":{"a":[]},"slots":[]}'])
def test_what_is_no_site_is_refused(data):
    """A setting that is not a site is refused with one code."""
    with pytest.raises(Rejected) as caught:
        EdgeSite.from_bytes(data)
    assert caught.value.code == "edge-site"
