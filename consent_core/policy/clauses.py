"""Legal clauses: the exact words a person is shown, named by id and digest.

`legal/clauses/<id>.md`: a `# Title` line, an empty line, the text; `<id>.<language>.md` is a translation. The digest is
over the whole file, so that a receipt or an approval says which words it is about.
"""

import re
from dataclasses import dataclass

from consent_core.errors import Untrusted
from consent_core.formats.canonical import sha256_digest

MAX_CLAUSE_BYTES = 16_384

LANGUAGE = "en"  # of a clause whose id names no other

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z]{2,3})?")


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause. `markdown` is the whole file, `sha256` its digest (`sha256:<hex>`)."""

    id: str
    markdown: str

    @property
    def title(self) -> str:
        """The heading."""
        return self.markdown.partition("\n")[0].removeprefix("# ").strip()

    @property
    def text(self) -> str:
        """What stands below the heading."""
        return self.markdown.partition("\n")[2].strip()

    @property
    def language(self) -> str:
        """What it is written in."""
        return self.id.partition(".")[2] or LANGUAGE

    @property
    def sha256(self) -> str:
        """The digest of the file."""
        return sha256_digest(self.markdown.encode("utf-8"))


def read_clause(clause_id: str, markdown: object) -> Clause:
    """A clause of the agreed form. Raises: Untrusted("bundle-clause")."""
    if not _ID.fullmatch(clause_id) or not isinstance(markdown, str) or len(markdown) > MAX_CLAUSE_BYTES:
        raise Untrusted("bundle-clause", f"{clause_id[:80]}: not a clause")
    clause = Clause(clause_id, markdown)
    if not markdown.startswith("# ") or not clause.title or not clause.text:
        raise Untrusted("bundle-clause", f"{clause_id}: expected a heading and a text")
    return clause
