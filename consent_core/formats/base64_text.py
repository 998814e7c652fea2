"""Bytes in the standard base64 alphabet (RFC 4648 section 4), in their one spelling.

    read_base64(write_base64(b"leaf"), refuse)

Several texts stand for the same bytes unless padding and unused bits are fixed: a signed format reads one of them.
"""

import base64
import binascii

from consent_core.formats.fields import Refuse


def write_base64(data: bytes) -> str:
    """The one spelling of the bytes, padded."""
    return base64.b64encode(data).decode("ascii")


def read_base64(text: object, refuse: Refuse) -> bytes:
    """The bytes that `write_base64` spells like this. Raises: what `refuse` makes of a message."""
    if not isinstance(text, str):
        raise refuse("not base64")
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise refuse("not base64") from error
    if write_base64(data) != text:
        raise refuse("not the canonical base64 spelling")
    return data
