"""The last cosigned checkpoint that the maker of a body knew: `<size>:<root>`, the root as checkpoints spell it.

    seen = read_seen("70000:y7Lo…=", refuse)
    Seen(70000, root).text

A body with it was made after that checkpoint. `NONE` is the empty tree: its maker knew none.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from consent_core.formats.fields import MAX_NUMBER, Refuse

_FORM = re.compile(r"(0|[1-9][0-9]{0,15}):([A-Za-z0-9+/]{43}=)")


@dataclass(frozen=True, slots=True)
class Seen:
    """A tree by its size and its 32-byte root."""

    size: int
    root: bytes

    @property
    def text(self) -> str:
        """`read_seen` gives the same value back."""
        return f"{self.size}:{base64.b64encode(self.root).decode('ascii')}"


NONE = Seen(0, hashlib.sha256(b"").digest())


def read_seen(value: object, refuse: Refuse) -> Seen:
    """Raises: what `refuse` makes of a message."""
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[1]) > MAX_NUMBER:
        raise refuse("seen: expected a size and a root")
    seen = Seen(int(found[1]), base64.b64decode(found[2]))
    if seen.text != value or (seen.size == 0) != (seen == NONE):
        raise refuse("seen: not the one spelling of a checkpoint")
    return seen
