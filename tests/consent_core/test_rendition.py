"""Rendition recipes and their signed paths: an address works only as it was signed, to the byte."""

import hashlib
import hmac
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.errors import Rejected
from consent_core.formats.rendition import (
    DOMAIN,
    DPRS,
    FORMATS,
    POSITIONS,
    QUALITIES,
    WIDTHS,
    Adjustment,
    Focal,
    Overlay,
    Recipe,
    RenditionKey,
    open_path,
    output_width,
    read_dpr,
    read_width,
    sign_path,
)
from consent_core.formats.token import encode_base64url

KEY = RenditionKey("k1", bytes(range(32)))
OTHER = RenditionKey("k2", bytes(range(1, 33)))
SOURCE = "9f86d081884c7d659a2feaa0c55ad015"
RECIPE = Recipe("alpine-dawn", SOURCE, 1200, 675, overlay=Overlay("Find your high line"))

percent = st.integers(-100, 100)
thousandths = st.integers(0, 1000)
copy = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=120)
recipes = st.builds(
    Recipe,
    st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
    st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    st.sampled_from(WIDTHS),
    st.integers(1, 4800),
    st.sampled_from(FORMATS),
    st.sampled_from(QUALITIES),
    st.builds(Focal, thousandths, thousandths),
    st.builds(Adjustment, percent, percent, percent),
    st.none() | st.builds(Overlay, copy, st.sampled_from(POSITIONS), st.sampled_from(("", "0123456789abcdef"))),
)


@given(recipes)
def test_a_signed_path_names_its_recipe(recipe: Recipe) -> None:
    """Signing and opening are inverse for every recipe there is."""
    path = sign_path(recipe, KEY)

    assert recipe == open_path(path.encode("ascii"), [OTHER, KEY])


def test_the_path_is_what_the_page_on_the_format_says() -> None:
    """The example of docs/formats/rendition-url.md, its signature made here with another call."""
    unsigned = (
        f"/v1/renditions/k1/alpine-dawn/{SOURCE}/1200x675-standard-auto/f500-500/b0s0w0/"
        "bottom-left.RmluZCB5b3VyIGhpZ2ggbGluZQ"
    )
    signature = hmac.new(KEY.secret, DOMAIN + unsigned.encode(), hashlib.sha256).digest()

    assert f"{unsigned}/{encode_base64url(signature)}" == sign_path(RECIPE, KEY)


@given(recipes, st.data())
def test_any_altered_byte_is_refused(recipe: Recipe, data: st.DataObject) -> None:
    """One byte changed anywhere in the address, signature included: 403, whatever it would have meant."""
    path = bytearray(sign_path(recipe, KEY).encode("ascii"))
    place = data.draw(st.integers(0, len(path) - 1))
    path[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(Rejected) as refusal:
        open_path(bytes(path), [KEY, OTHER])

    assert (refusal.value.code, refusal.value.status) == ("rendition-signature", 403)


def test_every_other_last_character_of_a_signature_is_refused() -> None:
    """43 base64url characters leave two bits unused: three other spellings would decode to the same bytes."""
    path = sign_path(RECIPE, KEY)
    others = [
        letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=" if letter != path[-1]
    ]

    for letter in others:
        with pytest.raises(Rejected):
            open_path((path[:-1] + letter).encode(), [KEY])


_PATH = sign_path(RECIPE, KEY)
_SIGNATURE = _PATH.rpartition("/")[2]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1/renditions/",
        "/v1/renditions/k1",
        _PATH.rpartition("/")[0],
        _PATH + "/",
        "/" + _PATH,
        _PATH + "?w=1",
        _PATH + "\0",
        _PATH.replace("/", "\\"),
        _PATH.replace("/alpine", "/%61lpine"),
        _PATH.replace("/alpine-dawn", "/../alpine-dawn"),
        _PATH.replace("/alpine-dawn", "/%252e%252e/alpine-dawn"),
        _PATH.replace("/k1/", "/k3/"),
        _PATH.replace("/k1/", "/K1/"),
        _PATH.replace("1200x675", "2400x1350"),
        _PATH.replace(_SIGNATURE, f"{_SIGNATURE}/{_SIGNATURE}"),
        f"/v1/renditions/{_SIGNATURE}{_PATH.removeprefix('/v1/renditions')}",
        _PATH.replace("/alpine-dawn", f"/{_SIGNATURE}/alpine-dawn"),
        _PATH + "A" * 3000,
    ],
)
def test_an_address_nobody_signed_is_refused(path: str) -> None:
    """Cut, extended, escaped, with the signature repeated inside: the exact bytes before the last slash count."""
    with pytest.raises(Rejected) as refusal:
        open_path(path.encode("latin-1"), [KEY, OTHER])

    assert (refusal.value.code, refusal.value.status) == ("rendition-signature", 403)


def test_a_path_too_long_is_refused_before_anything_else() -> None:
    """Even one that a key signed: no recipe needs 2,048 bytes."""
    unsigned = f"/v1/renditions/k1/{'a' * 2048}"
    signature = encode_base64url(hmac.digest(KEY.secret, DOMAIN + unsigned.encode(), hashlib.sha256))

    with pytest.raises(Rejected) as refusal:
        open_path(f"{unsigned}/{signature}".encode(), [KEY])

    assert refusal.value.code == "rendition-signature"


def test_another_deployments_key_of_the_same_name_is_refused() -> None:
    """The key id finds the key, it does not replace it."""
    with pytest.raises(Rejected, match="not signed here"):
        open_path(_PATH.encode(), [RenditionKey("k1", OTHER.secret)])


def test_an_old_key_verifies_while_a_new_one_signs() -> None:
    """Rotation by overlap: both open, and without the old one its addresses end."""
    assert open_path(_PATH.encode(), [KEY, OTHER]) == RECIPE
    with pytest.raises(Rejected):
        open_path(_PATH.encode(), [OTHER])


@pytest.mark.parametrize(
    "rest",
    [
        "alpine-dawn",
        f"alpine-dawn/{SOURCE}/1201x675-standard-auto/f500-500/b0s0w0/plain",
        f"alpine-dawn/{SOURCE}/1200x99999-standard-auto/f500-500/b0s0w0/plain",
        f"alpine-dawn/{SOURCE}/1200x9000-standard-auto/f500-500/b0s0w0/plain",
        f"alpine-dawn/{SOURCE}/01200x675-standard-auto/f500-500/b0s0w0/plain",
        f"alpine-dawn/{SOURCE}/1200x675-best-auto/f500-500/b0s0w0/plain",
        f"alpine-dawn/{SOURCE}/1200x675-standard-gif/f500-500/b0s0w0/plain",
        f"alpine-dawn/{SOURCE}/1200x675-standard-auto/f1001-500/b0s0w0/plain",
        f"alpine-dawn/{SOURCE}/1200x675-standard-auto/f500-500/b101s0w0/plain",
        f"alpine-dawn/{SOURCE}/1200x675-standard-auto/f500-500/b-0s0w0/plain",
        f"alpine-dawn/{SOURCE}/1200x675-standard-auto/f500-500/b0s0w0/middle.QQ",
        f"alpine-dawn/{SOURCE}/1200x675-standard-auto/f500-500/b0s0w0/center.QR",
        f"alpine-dawn/{SOURCE}/1200x675-standard-auto/f500-500/b0s0w0/center._w",
        f"alpine-dawn/{SOURCE}/1200x675-standard-auto/f500-500/b0s0w0/center.AA",
        f"-alpine/{SOURCE}/1200x675-standard-auto/f500-500/b0s0w0/plain",
    ],
)
def test_a_signed_path_this_version_does_not_render_is_gone(rest: str) -> None:
    """What another version signed with the same key is a clear 404, never an exception of ours."""
    unsigned = f"/v1/renditions/k1/{rest}"
    signature = encode_base64url(hmac.digest(KEY.secret, DOMAIN + unsigned.encode(), hashlib.sha256))

    with pytest.raises(Rejected) as refusal:
        open_path(f"{unsigned}/{signature}".encode(), [KEY])

    assert (refusal.value.code, refusal.value.status) == ("rendition-recipe", 404)


def test_a_weak_secret_or_odd_key_id_is_our_own_mistake() -> None:
    """32 bytes at least; ids that need no escaping in a path."""
    with pytest.raises(ValueError, match="at least 32"):
        RenditionKey("k1", b"short")
    with pytest.raises(ValueError, match="kid"):
        RenditionKey("k/1", bytes(32))


def test_a_key_does_not_print_its_secret() -> None:
    """Logs and tracebacks show representations."""
    assert "secret" not in repr(KEY)


@given(st.integers(1, 4096), st.sampled_from(DPRS))
def test_a_width_is_rounded_up_to_a_step(width: int, dpr: float) -> None:
    """Never less than asked for while there is a step that large; always one of the steps."""
    step = output_width(width, dpr)

    assert step in WIDTHS
    assert step >= min(width * dpr, WIDTHS[-1])
    assert not any(smaller >= width * dpr for smaller in WIDTHS if smaller < step)


@given(st.integers().filter(lambda width: not 1 <= width <= 4096))
def test_an_absurd_width_is_refused(width: int) -> None:
    """Zero, negative, astronomic: 400."""
    with pytest.raises(Rejected) as refusal:
        output_width(width)

    assert (refusal.value.code, refusal.value.status) == ("bad-size", 400)


@given(st.floats().filter(lambda dpr: dpr not in DPRS))
def test_a_dpr_off_the_list_is_refused(dpr: float) -> None:
    """Also infinity and not-a-number."""
    with pytest.raises(Rejected, match="dpr"):
        output_width(600, dpr)


@given(st.text())
def test_texts_for_sizes_give_a_size_or_a_refusal(text: str) -> None:
    """Whatever a query holds, nothing but Rejected leaves the reader."""
    for read in (read_width, read_dpr):
        with suppress(Rejected):
            assert read(text) > 0


@pytest.mark.parametrize("text", ["", "0", "-1", "+600", "600px", "6e2", "1.5", "٦٠٠", "00600", "99999", "nan", " 600"])
def test_a_width_is_plain_digits(text: str) -> None:
    """No signs, spaces, exponents or digits of other scripts."""
    with pytest.raises(Rejected, match="w: expected"):
        read_width(text)


def test_a_dpr_is_a_step_or_the_next_one() -> None:
    """`2` and `2.0` are the same step; a phone's 2.625 is the next one up, a screen of 4 the last."""
    texts = ("1", "1.0", "1.5", "2", "2.0", "3", "2.625", "0.75", "4")
    assert [read_dpr(text) for text in texts] == [1.0, 1.0, 1.5, 2.0, 2.0, 3.0, 3.0, 1.0, 3.0]
