"""A secret is whole or it is refused, with the next step."""

import pytest

from consent_core.errors import Unavailable
from consent_core.trust.files import SECRET_BYTES, load_secret


@pytest.mark.parametrize("size", [0, 1, SECRET_BYTES - 1, SECRET_BYTES + 1])
def test_a_secret_of_another_length_is_refused_with_what_to_do(tmp_path, size):
    """As a full disk or an editor leaves it. It stays where it is."""
    path = tmp_path / "pop.key"
    path.write_bytes(bytes(size))
    with pytest.raises(Unavailable) as caught:
        load_secret(path)

    assert caught.value.code == "secret-malformed"
    assert "put it aside" in caught.value.message
    assert path.stat().st_size == size
