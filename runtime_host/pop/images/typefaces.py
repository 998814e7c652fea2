"""Which letters the fonts of this machine draw, and which fonts a text is drawn with.

    faces = typefaces()
    faces.missing("Zelte für zwei")      # ""
    faces.missing("テント")               # "テント" where no font with Japanese letters is installed
    faces.tag("Zelte für zwei")          # 16 hex digits for the address of a rendition; None if it cannot be drawn

A letter without a shape becomes a box of hexadecimal digits, and stays one in every cache for a year. So copy is asked
about before it is drawn: what cannot be drawn is no part of the picture, and the page shows it as text.

The shipped font draws Latin, Greek and Cyrillic; for other letters Pango chooses among the fonts in `FOLDERS`. They are
opened only if some copy needs them. Installed later, they count from the next start on.
"""

import hashlib
import io
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from runtime_host.pop.images.lettering import FONT_FILE
from runtime_host.pop.images.libvips import VERSION

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))  # as in fonts/fonts.conf
SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_OUTLINES = ("glyf", "CFF ", "CFF2")  # a font of bitmaps or colours alone gives no shape to fill with white
_INVISIBLE = ("Cf", "Zs", "Mn", "Me")  # joiners, spaces, marks: Pango does without, or composes


class Typefaces:
    """The shipped font and those in `folders`."""

    def __init__(self, folders: Iterable[Path] = FOLDERS) -> None:
        self._folders = tuple(folders)

    def missing(self, text: str) -> str:
        """The letters of a text that no font draws, each once, in their order."""
        lacking = self._lacking(text)
        return "".join(letter for letter in lacking if ord(letter) not in self._installed[0]) if lacking else ""

    def tag(self, text: str) -> str | None:
        """What the text is drawn with, as a digest; None if it cannot be drawn."""
        if not self._lacking(text):
            return self._shipped[1]
        return None if self.missing(text) else self._installed[1]

    def _lacking(self, text: str) -> list[str]:
        """The letters that the shipped font does not draw."""
        letters = dict.fromkeys(unicodedata.normalize("NFC", text))
        return [one for one in letters if unicodedata.category(one) not in _INVISIBLE and not self._ships(one)]

    def _ships(self, letter: str) -> bool:
        return ord(letter) in self._shipped[0]

    @cached_property
    def _shipped(self) -> tuple[frozenset[int], str]:
        return _read((FONT_FILE,))

    @cached_property
    def _installed(self) -> tuple[frozenset[int], str]:
        """With the shipped one: another version of either draws otherwise."""
        return _read((FONT_FILE, *_files(self._folders)))


@lru_cache(maxsize=1)
def typefaces() -> Typefaces:
    """Of this machine, as it was when somebody first asked."""
    return Typefaces()


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _read(files: Iterable[Path]) -> tuple[frozenset[int], str]:
    """The characters that have an outline in some of these fonts, and a digest of all that decides their shapes."""
    covered: set[int] = set()
    digest = hashlib.sha256(VERSION.encode())
    for path in files:
        try:
            data = path.read_bytes()
            covered |= _covered(data, collection=path.suffix.lower() in (".ttc", ".otc"))
            digest.update(hashlib.sha256(data).digest())
        except Exception:  # noqa: S112 - a broken font raises anything, and draws nothing
            continue
    return frozenset(covered), digest.hexdigest()[:16]


def _covered(data: bytes, *, collection: bool) -> set[int]:
    from fontTools.ttLib import TTCollection, TTFont  # 50 ms that render processes do not need

    file = io.BytesIO(data)
    faces = TTCollection(file, lazy=True).fonts if collection else [TTFont(file, lazy=True)]
    return {code for face in faces if any(table in face for table in _OUTLINES) for code in face.getBestCmap() or ()}
