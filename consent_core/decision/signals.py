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
from functools import lru_cache

from consent_core.decision.contract import (
    ENTROPY_VALUES,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.decision.request import read_query
from consent_core.formats.catalogue import Experiment
from consent_core.formats.days import day_of

ARM_DOMAIN = b"consent-edge/arm/v1"
MAX_PATH = 256
MAX_WORD = 64
MAX_TAGS = 16

_ESCAPED = re.compile(r"[\x00-\x20\x7f]")
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9:_-]{0,62}[a-z0-9])?")
_LANGUAGE_ENDS = re.compile(r"[.,;@]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")


@lru_cache(maxsize=4_096)
def page_context(query: bytes) -> PageContext:
    """Where on the site the visitor is, from the query: `path`, `section`, `tags` (comma-separated), `language`.

    Never refuses: a member is brought to the agreed form where that can be done, and left out where it cannot.
    """
    fields = read_query(query)
    words = dict.fromkeys(_word(tag) for tag in fields.get("tags", "").split(","))
    return PageContext(
        path=_path(fields.get("path", "")),
        section=_word(fields.get("section", "")),
        tags=tuple(sorted([word for word in words if word][:MAX_TAGS])),
        language=_language(fields.get("language", "")),
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


def _path(value: str) -> str:
    """Percent-escaped where it must be, and no longer than `MAX_PATH`."""
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", value)[:MAX_PATH] if value.startswith("/") else ""


def _word(value: str) -> str:
    word = value.strip().lower()[:MAX_WORD].rstrip(":_-")
    return word if _WORD.fullmatch(word) else ""


def _language(value: str) -> str:
    """The first one named, with hyphens: `zh_CN.UTF-8` and `zh-CN,zh;q=0.9` are `zh-CN`."""
    language = _LANGUAGE_ENDS.split(value.strip(), maxsplit=1)[0].replace("_", "-")
    return language if _LANGUAGE.fullmatch(language) else ""
