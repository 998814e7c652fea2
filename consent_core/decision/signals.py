"""The data a function may see: the deciding category's own signal and those below it, each only while effective.

    contextual    page
    behavioral    page (if contextual is effective) and this visitor's history at this POP
    experimental  page (if contextual is effective) and the visitor's arm

The arm and the entropy are functions of the visitor and public or POP-wide values, so that the same request gets the
same answer again.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from functools import lru_cache

from consent_core.decision.contract import (
    ENTROPY_VALUES,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.decision.request import read_query
from consent_core.errors import Rejected
from consent_core.formats.catalogue import Experiment
from consent_core.formats.days import day_of

ARM_DOMAIN = b"consent-edge/arm/v1"
MAX_PATH = 256
MAX_TAGS = 16

_PATH = re.compile(r"/[^\x00-\x20\x7f]{0,255}")
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9:_-]{0,62}[a-z0-9])?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")


@lru_cache(maxsize=4_096)
def page_context(query: bytes) -> PageContext:
    """Where on the site the visitor is, from the query: `path`, `section`, `tags` (comma-separated), `language`.

    Raises: Rejected("bad-context") for a value no page of a site would send.
    """
    fields = read_query(query)
    tags = tuple(tag for tag in fields.get("tags", "").split(",") if tag)
    if len(tags) > MAX_TAGS:
        raise Rejected("bad-context", f"tags: expected at most {MAX_TAGS}")
    return PageContext(
        path=_matching(fields, "path", _PATH),
        section=_matching(fields, "section", _WORD),
        tags=tuple(sorted({_word(tag) for tag in tags})),
        language=_matching(fields, "language", _LANGUAGE),
    )


def choose_signals(
    category: str,
    effective: tuple[str, ...],
    page: PageContext,
    history: tuple[Interaction, ...] | None,
    arm: ExperimentArm | None,
) -> Signals:
    """The signals of one decision. What does not belong to `category`, or is not effective, is left out."""
    return Signals(
        page=page if "contextual" in effective else None,
        history=history if category == "behavioral" else None,
        experiment=arm if category == "experimental" else None,
    )


def arm_of(experiment: Experiment, sub: str) -> ExperimentArm:
    """The visitor's arm: the same at every POP and on every day, shared out by the arms' weights."""
    digest = hashlib.sha256(b"\0".join((ARM_DOMAIN, experiment.name.encode(), sub.encode()))).digest()
    point = int.from_bytes(digest[:8], "big") % sum(weight for _, weight in experiment.arms)
    for arm, weight in experiment.arms:
        point -= weight
        if point < 0:
            return ExperimentArm(experiment.name, arm)
    raise RuntimeError("arms without weight")


def entropy_of(key: bytes, sub: str, slot: str, now: int) -> int:
    """0 to 15 from HMAC-SHA256(POP key, sub ‖ slot ‖ UTC day of `now`).

    `sub` and the day (YYYY-MM-DD) have fixed lengths, so no two inputs spell the same message.
    """
    return hmac.digest(key, f"{sub}{slot}{day_of(now)}".encode(), hashlib.sha256)[0] % ENTROPY_VALUES


def _matching(fields: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(name, "")
    if value and not pattern.fullmatch(value):
        raise Rejected("bad-context", f"{name}: not of the agreed form")
    return value


def _word(tag: str) -> str:
    if not _WORD.fullmatch(tag):
        raise Rejected("bad-context", "tags: expected lower-case words")
    return tag
