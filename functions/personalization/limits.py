"""How much a decision may be asked to read. Beyond it the input is refused, because string hashing is not seeded
per instance: whoever could send many keys could choose ones that collide."""

from collections.abc import Iterable, Sized

from componentize_py_types import Err
from wit_world.exports.personalization import Candidate, DecisionError, Signals

MAX_CANDIDATES = 64
MAX_COPIES = 8
MAX_TAGS = 32
MAX_HISTORY = 256
MAX_NAME = 128  # characters of a slot, asset, tag, section, language, item, experiment or arm
MAX_TEXT = 512  # characters of a path or a copy


def check_slot(slot: str) -> None:
    """A slot has a name."""
    _names([slot])


def check_candidates(candidates: list[Candidate]) -> None:
    """Few enough candidates, each with a name of its own and at least one text."""
    _few(candidates, MAX_CANDIDATES)
    if len({candidate.asset for candidate in candidates}) != len(candidates):
        raise Err(DecisionError.BAD_INPUT)
    for candidate in candidates:
        _names([candidate.asset])
        _tags(candidate.tags)
        _few(candidate.copies, MAX_COPIES)
        if not candidate.copies:
            raise Err(DecisionError.BAD_INPUT)
        for text in candidate.copies:
            _few(text, MAX_TEXT)


def check_signals(signals: Signals) -> None:
    """Signals of a size a browser and a history store can have produced."""
    if signals.page is not None:
        _few(signals.page.path, MAX_TEXT)
        _few(signals.page.section, MAX_NAME)
        _few(signals.page.language, MAX_NAME)
        _tags(signals.page.tags)
    if signals.history is not None:
        _few(signals.history, MAX_HISTORY)
        for interaction in signals.history:
            _few(interaction.item, MAX_NAME)
            _tags(interaction.tags)
    if signals.experiment is not None:
        _names([signals.experiment.experiment, signals.experiment.arm])


def _tags(tags: list[str]) -> None:
    _few(tags, MAX_TAGS)
    _names(tags)


def _names(names: Iterable[str]) -> None:
    for name in names:
        if not 0 < len(name) <= MAX_NAME:
            raise Err(DecisionError.BAD_INPUT)


def _few(things: Sized, limit: int) -> None:
    if len(things) > limit:
        raise Err(DecisionError.BAD_INPUT)
