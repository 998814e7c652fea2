"""What each outcome says, for a lawyer to read aloud. `{name}` is a fact of the check.

say(5, "holds", None, {"count": 3})
"""

from collections.abc import Mapping
from datetime import UTC, datetime

LAST_SECOND = 253_402_300_799  # of the year 9999

HOLDS: Mapping[int, str] = {
    0: "This file is about the person who holds this receipt, and goes as far as it (version {version}).",
    1: "The file is complete and in its only possible spelling; a changed letter would show.",
    2: "The operator signed this file as a whole, and dates it {made_at:date}.",
    3: "Every signature is by a key you trust, from a time when it was valid.",
    4: "{quorum} of the {witnesses} witnesses of your trust file saw this ledger, the last time on {last:date}.",
    5: "Between these {count} checkpoints the ledger only grew; nothing was taken out or changed.",
    6: "Each of the {count} documents was in the ledger by the time stated.",
    7: "Each document was made between what it had seen and what witnesses saw: from {first:date} to {last:date}.",
    8: "This pseudonym chose so, in {count} versions from {first:date} to {last:date}, under these rules. {words}",
    9: "The withdrawal (entry {seq}) concerns exactly what was granted.",
    10: "Each of the {count} listed places reported continuously, before and after: {places}.",
    11: "At all {count} listed places the operator's software had stopped; by the operator's clocks {lag} s after "
    "the no. An unlisted place cannot be seen from here.",
    12: "After that moment the trails named record nothing personal. Of {records} records searched, {before} "
    "were personal and from before it was applied.",
    13: "Each of {count} places counted what it held in the stores named, deleted it, counted again and found nothing. "
    "What goes by itself: {ends}.",
    14: "No model in use learnt from this person.",
    15: "Nothing that was to be done is missing, and the proofs were deleted on {gone:date}.",
    16: "Answered in {took:duration}; due {due:date} ({binding}).",
    17: "Each set of rules in use ({count}) was approved by {approvers} under the words in this file.",
}

NOT_SHOWN: Mapping[tuple[int, str], str] = {
    (
        0,
        "no-receipt",
    ): "Not shown: whether this is you, and whether a later choice exists; only your own newest receipt tells.",
    (4, "no-witness"): "No witness: the operator's word alone.",
    (4, "half"): "Two stories are possible: half or fewer of the witnesses must sign ({quorum} of {witnesses}).",
    (7, "no-witness"): "Not shown: when the documents were made. Without a witness that is the operator's word.",
    (7, "slow"): "Not shown for {slow} documents: until witnesses saw them, their time is the operator's word.",
    (8, "no-receipt"): "Not shown: the file holds no receipt.",
    (9, "no-entry"): "Not shown: the file holds no withdrawal.",
    (10, "no-entry"): "Not shown: the file holds no withdrawal that a place could have reported.",
    (10, "no-list"): "Not shown: the file holds no report of any place.",
    (10, "late"): "Not shown: witnesses saw the reports of {places} around the no more than a day after the time they "
    "are about; that they were made then is the operator's word.",
    (10, "life"): "Not shown: between the no and the first report of it, the store of {places} was lost or restored.",
    (11, "no-entry"): "Not shown: the file holds no withdrawal that could be in force.",
    (11, "no-list"): "Not shown: the file holds no list of places.",
    (
        11,
        "portable",
    ): "Not shown for portable edges: they keep nothing and do not attest; they stop within 60 s by design. "
    "At all {count} other places the operator's software had stopped.",
    (12, "no-entry"): "Not shown: the file holds no withdrawal after which to search.",
    (12, "no-search"): "Not shown: no search of the trails of {places}.",
    (13, "no-purge"): "Not shown: the file holds no erasure.",
    (13, "not-asked"): "Not shown: whether every place deleted; this file answers another question.",
    (13, "open"): "Not shown: the erasure is not finished.",
    (13, "unseen"): "Not shown for {devices}: not seen again; its share of the key was deleted.",
    (
        14,
        "learning",
    ): "Not shown: whether a model in use learnt from this person; what a release learnt, it says itself.",
    (15, "no-closing"): "Not shown: the deletion of the proofs themselves. Open: {open}.",
    (15, "no-request"): "Not shown: this file answers no request. Open: {open}.",
    (16, "no-request"): "Not shown: this file answers no request with a deadline.",
    (16, "late"): "Late: answered in {took:duration}; it was due {due:date} ({binding}).",
    (17, "models"): "Not shown: who approved the models that a place names.",
    (17, "no-policy"): "Not shown: the file names no rules.",
}

FAILS: Mapping[int, str] = {
    0: "This file is not about the person who holds this receipt, or leaves out what that person holds.",
    1: "The file was changed, is damaged, or is not of the form agreed.",
    2: "The operator did not sign this file as it is.",
    3: "A signature is by a key that you do not trust, or that was not valid then.",
    4: "The ledger's checkpoints are not signed by the ledger, or not seen by enough witnesses of your trust file.",
    5: "More than one ledger was shown, or something was taken out of it.",
    6: "A document in this file is not the one that the ledger holds.",
    7: "A document is dated at a time at which it cannot have been made.",
    8: "A receipt, a version or the words shown are missing or altered.",
    9: "The withdrawal does not follow from what was granted.",
    10: "A place's reports have a gap, contradict each other, or are not by its own key.",
    11: "A place that should have stopped did not report it, or is on no list.",
    12: "A place's search shows something personal after the no, or does not cover its trails.",
    13: "A place did not delete everything, or did not say so.",
    14: "A model in use may have learnt from this person.",
    15: "Something that was to be done is missing from this file.",
    16: "The deadline is not readable.",
    17: "Nothing shows who approved a rule that was in use, or under which words.",
}

UNREAD = "Not shown: the file could not be read."


def say(number: int, verdict: str, reason: str | None, facts: Mapping[str, object]) -> str:
    """The sentence of one check's outcome."""
    if verdict == "fails":
        return FAILS[number]
    template = HOLDS[number] if reason is None else NOT_SHOWN[number, reason]
    return plain(template.format_map({name: _Spoken(value) for name, value in facts.items()}))


class _Spoken:
    """A fact in a sentence: Unix seconds as a date, seconds as a duration, everything else as it is."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __format__(self, form: str) -> str:
        if form == "date":
            return date_of(int(str(self._value)))
        if form == "duration":
            return duration_of(int(str(self._value)))
        return str(self._value) or "none"


def date_of(seconds: int) -> str:
    """Unix seconds as people write them, UTC."""
    moment = moment_of(seconds)
    return f"{moment} UTC" if moment else "a time that is not stated"


def moment_of(seconds: int) -> str:
    """Unix seconds as date and time of day, UTC; "" for none, and for what no calendar has."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}" if 0 < seconds <= LAST_SECOND else ""


def duration_of(seconds: int) -> str:
    """A time that something took, in words."""
    days, rest = divmod(max(0, seconds), 86_400)
    hours, minutes = divmod(rest // 60, 60)
    if days:
        return f"{days} days"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else "less than a minute"


def plain(text: str) -> str:
    """A text in which nothing moves a terminal's cursor or turns the direction of writing."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
