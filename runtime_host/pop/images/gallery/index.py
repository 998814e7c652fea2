"""What a POP has found out about pictures, on disk: `index.json` beside the copies.

Trust: *trusted like the store*: who writes it can have an unchecked picture rendered. One that is not of this
form, or of another libvips, counts as empty: everything is looked at again.
"""

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime_host.pop.images.libvips import VERSION as LIBVIPS
from runtime_host.pop.images.sources import Facts

NAME = "index.json"
FORM = [1, LIBVIPS]  # another decoder may judge otherwise

Look = tuple[int, int, int, int]  # size, mtime, ctime (ns), inode: what changes when a file is written or replaced


@dataclass(slots=True)
class Seen:
    """A file as it was read. `settled`: read again later, with the same look and the same bytes."""

    look: Look
    digest: str | None  # None: it could not be read
    settled: bool = False
    why: str = ""


@dataclass(slots=True)
class Index:
    """`seen` and `good` by file name, the rest by digest. `good`: what was shown of a file last."""

    seen: dict[str, Seen] = field(default_factory=dict)
    good: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Index":
        """What the file says; empty where there is none that can be used."""
        try:
            value = json.loads((folder / NAME).read_bytes())
            return _read(value) if value["form"] == FORM else cls()
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, folder: Path) -> None:
        """Replace the file, whole; not at all where it says the same."""
        text = json.dumps(self._to_json(), separators=(",", ":"))
        with contextlib.suppress(OSError):
            if (folder / NAME).read_text() == text:
                return
        staged = folder / f"{NAME}.{os.getpid()}.tmp"
        staged.write_text(text)
        staged.replace(folder / NAME)

    def forget(self, files: set[str]) -> None:
        """Keep what these files need."""
        self.seen = {file: seen for file, seen in self.seen.items() if file in files}
        self.good = {file: digest for file, digest in self.good.items() if file in files}
        digests = {*self.good.values(), *(seen.digest for seen in self.seen.values())}
        self.facts = {digest: facts for digest, facts in self.facts.items() if digest in digests}
        self.refused = {digest: why for digest, why in self.refused.items() if digest in digests}

    def _to_json(self) -> dict[str, Any]:
        return {
            "form": FORM,
            "seen": {file: [seen.look, seen.digest, seen.settled, seen.why] for file, seen in self.seen.items()},
            "good": self.good,
            "facts": {digest: [*facts] for digest, facts in self.facts.items()},
            "refused": self.refused,
        }


def _read(value: dict[str, Any]) -> Index:
    seen = {file: Seen((*look,), digest, settled, why) for file, (look, digest, settled, why) in value["seen"].items()}
    facts = {digest: Facts(*of) for digest, of in value["facts"].items()}
    return Index(seen, dict(value["good"]), facts, dict(value["refused"]))
