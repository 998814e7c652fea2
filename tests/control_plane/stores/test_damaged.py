"""A store that is torn, or away, is refused with a code and the next step; nobody reads a traceback."""

import pytest

from consent_core.errors import Unavailable
from control_plane.app import create_app
from control_plane.settings import Settings
from control_plane.store.database import Database


def torn(data, how):
    size = len(data)
    return {
        "garbage": b"\xff" * 8_192,
        "half": data[: size // 2],
        "a page": data[:4_096] + b"\xee" * 4_096 + data[8_192:],
        "no header": b"\x00" * 100 + data[100:],
    }[how]


@pytest.mark.parametrize("how", ["garbage", "half", "a page", "no header"])
def test_a_torn_database_is_named_with_what_to_do(tmp_path, how):
    """As a power cut or a bad copy leaves it."""
    settings = Settings(data=tmp_path)
    create_app(settings).close()
    file = settings.home / "consent.db"
    file.write_bytes(torn(file.read_bytes(), how))

    with pytest.raises(Unavailable) as caught:
        create_app(settings)

    assert caught.value.code == "store-corrupt"
    assert "edge control-plane restore" in caught.value.message


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/consent", "sqlite:////nowhere/at/all/consent.db"])
def test_a_database_that_is_away_is_named_with_what_to_do(url):
    """Not started yet, or a wrong address."""
    with pytest.raises(Unavailable) as caught:
        Database.open(url)

    assert caught.value.code == "store-unavailable"
    assert "--database" in caught.value.message
