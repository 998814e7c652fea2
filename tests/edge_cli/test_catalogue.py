"""`edge catalogue check` says beforehand what a POP would say."""

import json

import pytest

from tests.runtime_host.images.pictures import field, write_jpeg
from tests.runtime_host.images.test_gallery import ASSET, CATALOGUE


@pytest.fixture
def art(tmp_path):
    (tmp_path / "catalogue.toml").write_text(CATALOGUE + ASSET.format("a") + ASSET.format("b"))
    for name in ("a", "b"):
        write_jpeg(tmp_path / f"{name}.jpg", field())
    return tmp_path


def test_a_good_catalogue_passes(edge, art):
    """With the number of pictures."""
    said = edge("catalogue", "check", str(art / "catalogue.toml"), "--art", str(art), "--json")

    assert (said.code, json.loads(said.out)["assets"]) == (0, 2)


def test_a_broken_picture_is_named_and_fails(edge, art):
    """By asset, with the reason."""
    (art / "b.jpg").write_bytes(b"no picture")
    said = edge("catalogue", "check", str(art / "catalogue.toml"), "--art", str(art), "--json")

    assert said.code == 1
    assert list(json.loads(said.out)["refused"]) == ["b"]


@pytest.mark.parametrize(("file", "code"), [("a.jpg", "asset-refused"), ("catalogue.toml", "catalogue-invalid")])
def test_what_stops_a_pop_is_refused(edge, art, file, code):
    """A default, or the catalogue itself."""
    (art / file).write_bytes(b"no such thing")
    said = edge("catalogue", "check", str(art / "catalogue.toml"), "--art", str(art))

    assert said.code == 1
    assert code in said.out + said.err
