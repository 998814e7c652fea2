"""Personalisation as a component: signals and candidates in; asset, copy, adjustment and exact propensity out.

The signals decide which model speaks: an experiment arm first, else history (`behavioral`), else the page
(`contextual`). Two of the sixteen values of `entropy` explore: they show something else than the best, so that
learning has something to compare, and `propensity` says exactly how often this asset would have been shown.
"""

from binascii import crc32

from componentize_py_types import Err
from features import Tokens, history_tokens, page_tokens, strongest
from limits import check_candidates, check_signals, check_slot
from model import LinearModel, mean_fit
from tones import tone_of
from weights import BEHAVIORAL, CONTEXTUAL
from wit_world.exports.personalization import Adjustment, Candidate, Decision, DecisionError, Signals

ENTROPY_VALUES = 16
EXPLORING = 2  # of them: 12.5 % of visitor-days see an alternative
MODELS = {"contextual": LinearModel(CONTEXTUAL), "behavioral": LinearModel(BEHAVIORAL)}
PLAIN = (0, 0, 0)


class Personalization:
    """The export `consent-edge:functions/personalization`."""

    def decide(self, slot: str, signals: Signals, candidates: list[Candidate], entropy: int) -> Decision:
        """The decision for one slot; `Err` when nothing may be decided."""
        if not 0 <= entropy < ENTROPY_VALUES:
            raise Err(DecisionError.BAD_ENTROPY)
        check_slot(slot)
        if not candidates:
            raise Err(DecisionError.NO_CANDIDATES)
        check_candidates(candidates)
        check_signals(signals)
        if signals.experiment is not None:
            return _decide_by_arm(signals.experiment.arm, candidates)
        return _decide_by_model(slot, *_model_and_tokens(signals), candidates, entropy)


def _decide_by_arm(arm: str, candidates: list[Candidate]) -> Decision:
    """The arm's own candidate, for every value of entropy: an experiment does its own randomising."""
    for candidate in candidates:
        if f"arm:{arm}" in candidate.tags:
            return Decision(candidate.asset, candidate.copies[0], Adjustment(*PLAIN), ENTROPY_VALUES, False)
    raise Err(DecisionError.NO_CANDIDATES)


def _model_and_tokens(signals: Signals) -> tuple[LinearModel, Tokens]:
    """Who decides. An empty history says nothing, so the page may speak in its place; without a page nobody knows."""
    if signals.history:
        happened = ((event.kind.name.lower(), event.tags, event.days_ago) for event in signals.history)
        return MODELS["behavioral"], history_tokens(happened)
    if signals.page is not None:
        page = signals.page
        return MODELS["contextual"], page_tokens(page.path, page.section, page.tags, page.language)
    if signals.history is not None:
        return MODELS["behavioral"], {}
    raise Err(DecisionError.NO_SIGNAL)


def _decide_by_model(
    slot: str, model: LinearModel, tokens: Tokens, candidates: list[Candidate], entropy: int
) -> Decision:
    fit = model.fit_of_tags(tokens, {tag for candidate in candidates for tag in candidate.tags})
    ranked = sorted(candidates, key=lambda candidate: (-mean_fit(fit, candidate.tags), candidate.asset))
    shown = [_shown(slot, tokens, ranked, value) for value in range(ENTROPY_VALUES)]
    chosen = shown[entropy]
    return Decision(
        asset=chosen.asset,
        copy=_best_copy(chosen.copies, fit),
        adjustment=Adjustment(*tone_of(strongest(tokens))),
        propensity=sum(candidate is chosen for candidate in shown),
        explored=chosen is not ranked[0],
    )


def _shown(slot: str, tokens: Tokens, ranked: list[Candidate], entropy: int) -> Candidate:
    """What one value of entropy shows. Which alternatives are explored depends on the situation, so all get a turn.

    Of a visitor nothing is known of, everything is still to be learned: each candidate gets an equal share.
    """
    if not tokens:
        return ranked[entropy % len(ranked)]
    explorer = entropy - (ENTROPY_VALUES - EXPLORING)
    others = ranked[1:]
    if explorer < 0 or not others:
        return ranked[0]
    start = crc32("\n".join([slot, *sorted(tokens)]).encode())
    return others[(start + explorer) % len(others)]


def _best_copy(copies: list[str], fit: dict[str, float]) -> str:
    """The text whose words fit best; the first, plain one where no other is better."""
    return max(copies, key=lambda text: sum(fit.get(word, 0.0) for word in _words(text)))


def _words(text: str) -> list[str]:
    """Each word once, in order: sums of floats depend on it."""
    return list(dict.fromkeys(word.strip(".,:;!?'\"()").lower() for word in text.split()))
