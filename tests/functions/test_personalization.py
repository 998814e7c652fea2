"""Personalisation, natively and as a component: which model speaks, what it shows, and how often it explores."""

from collections import Counter
from dataclasses import replace

import pytest

from consent_core.decision.contract import (
    ENTROPY_VALUES,
    Adjustment,
    Candidate,
    Decision,
    ExperimentArm,
    Interaction,
    PageContext,
    Signals,
)
from consent_core.errors import Rejected
from runtime_host.wasm.functions import Personalizer

SHOP = {
    "camping": ("camping", "tent", "forest"),
    "climbing": ("climbing", "boots", "mountain"),
    "water": ("water", "kayak", "coast"),
    "cycling": ("cycling", "bike", "city"),
    "winter": ("winter", "snow", "mountain"),
}
CANDIDATES = tuple(
    Candidate(f"hero-{section}", tags, ("Northlight", f"Made for the {tags[1]}.")) for section, tags in SHOP.items()
)
ARMS = (
    Candidate("tile-plain", ("arm:control",), ("Our offers",)),
    Candidate("tile-bold", ("arm:bold",), ("Offers you will like",)),
)
NOTHING = Signals()


def page(section: str, *tags: str) -> Signals:
    return Signals(page=PageContext(f"/shop/{section}", section, tags, "en"))


def clicked(*tags: str, days_ago: int = 0) -> Signals:
    return Signals(history=tuple(Interaction("click", f"item-{tag}", (tag,), days_ago) for tag in tags))


@pytest.mark.parametrize("section", SHOP)
def test_the_page_chooses_the_hero(personalizer: Personalizer, section: str) -> None:
    """The contextual model shows what belongs to the section, in its words."""
    decision = personalizer.decide("home-hero", page(section), CANDIDATES, 0)

    assert decision.asset == f"hero-{section}"
    assert decision.copy == f"Made for the {SHOP[section][1]}."
    assert decision.adjustment != Adjustment()


@pytest.mark.parametrize(
    ("tag", "section"),
    [("tent", "camping"), ("kayak", "water"), ("bike", "cycling"), ("boots", "climbing"), ("snow", "winter")],
)
def test_history_chooses_the_banner(personalizer: Personalizer, tag: str, section: str) -> None:
    """The behavioral model shows what the visitor looked at."""
    assert personalizer.decide("member-banner", clicked(tag), CANDIDATES, 0).asset == f"hero-{section}"


def test_history_speaks_before_the_page(personalizer: Personalizer) -> None:
    """With both categories effective the history decides."""
    both = replace(page("winter"), history=clicked("kayak").history)

    assert personalizer.decide("home-hero", both, CANDIDATES, 0).asset == "hero-water"


def test_an_empty_history_leaves_the_word_to_the_page(personalizer: Personalizer) -> None:
    """Nothing has happened yet, so the page decides."""
    nothing_yet = replace(page("winter"), history=())

    assert personalizer.decide("home-hero", nothing_yet, CANDIDATES, 0).asset == "hero-winter"


def test_of_an_unknown_visitor_everything_is_still_to_be_learned(personalizer: Personalizer) -> None:
    """An empty history and no page: each candidate gets an equal share of entropy, and the propensity says so."""
    shown = [personalizer.decide("member-banner", Signals(history=()), CANDIDATES, value) for value in range(16)]
    shares = Counter(decision.asset for decision in shown)

    assert shares.keys() == {candidate.asset for candidate in CANDIDATES}
    assert max(shares.values()) - min(shares.values()) <= 1
    assert [decision.propensity for decision in shown] == [shares[decision.asset] for decision in shown]


def test_what_happened_lately_counts_more(personalizer: Personalizer) -> None:
    """A week-old click yields to today's."""
    old, new = clicked("kayak", days_ago=6).history, clicked("bike").history
    assert old is not None
    assert new is not None

    assert personalizer.decide("member-banner", Signals(history=old + new), CANDIDATES, 0).asset == "hero-cycling"


def test_a_purchase_brings_on_its_bundled_slot(personalizer: Personalizer) -> None:
    """Who has just bought a tent is shown boots rather than the next tent."""
    bought = Signals(history=(Interaction("purchase", "item-1", ("tent",), 0),))
    offers = (Candidate("a-tent", ("tent",), ("Tents",)), Candidate("some-boots", ("boots",), ("Boots",)))

    assert personalizer.decide("member-banner", bought, offers, 0).asset == "some-boots"


@pytest.mark.parametrize(("arm", "asset"), [("control", "tile-plain"), ("bold", "tile-bold")])
@pytest.mark.parametrize("entropy", [0, 15])
def test_an_arm_shows_its_own_candidate(personalizer: Personalizer, arm: str, asset: str, entropy: int) -> None:
    """A visitor in an experiment sees the arm, never explored, with any history."""
    signals = replace(page("winter"), experiment=ExperimentArm("promo", arm))

    decision = personalizer.decide("promo-tile", signals, ARMS, entropy)

    assert (decision.asset, decision.propensity, decision.explored) == (asset, ENTROPY_VALUES, False)
    assert decision.adjustment == Adjustment()


def test_an_arm_nobody_prepared_decides_nothing(personalizer: Personalizer) -> None:
    """An experiment never falls back to a candidate of another arm."""
    assert _refusal(personalizer, Signals(experiment=ExperimentArm("promo", "third")), ARMS) == "no-candidates"


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("signals", [page("water"), clicked("tent")], ids=["page", "history"])
def test_propensity_is_exact(personalizer: Personalizer, count: int, signals: Signals) -> None:
    """Counting what all sixteen values show gives exactly the propensity each decision stated."""
    shown = [personalizer.decide("home-hero", signals, CANDIDATES[:count], value) for value in range(ENTROPY_VALUES)]

    counts = Counter(decision.asset for decision in shown)
    assert [decision.propensity for decision in shown] == [counts[decision.asset] for decision in shown]
    assert sum(not decision.explored for decision in shown) == (14 if count > 1 else 16)


def test_every_alternative_is_explored_somewhere(personalizer: Personalizer) -> None:
    """Over many situations exploration leaves nothing out, or learning could never recover."""
    explored = {
        personalizer.decide(f"slot-{number}", page("water"), CANDIDATES, value).asset
        for number in range(20)
        for value in (14, 15)
    }

    assert explored == {candidate.asset for candidate in CANDIDATES} - {"hero-water"}


def test_the_order_of_the_input_does_not_matter(personalizer: Personalizer) -> None:
    """Candidates, tags and history in another order lead to the same decision."""
    signals = Signals(history=(*(clicked("tent", "bike").history or ()),))
    turned = Signals(history=(*reversed(signals.history or ()),))

    for value in (0, 15):
        assert personalizer.decide("home-hero", signals, CANDIDATES, value) == personalizer.decide(
            "home-hero", turned, CANDIDATES[::-1], value
        )


def test_the_plain_copy_stays_where_no_other_fits(personalizer: Personalizer) -> None:
    """A text about something else never replaces the plain one."""
    offers = (Candidate("hero", ("kayak",), ("Welcome", "Tents at half price")),)

    assert personalizer.decide("home-hero", page("water"), offers, 0).copy == "Welcome"


def test_unknown_words_still_lead_to_a_decision(personalizer: Personalizer) -> None:
    """A catalogue the seed models have never seen gets a lawful, repeatable decision."""
    offers = tuple(Candidate(f"asset-{number}", (f"word-{number}",), ("Text",)) for number in range(3))

    first = personalizer.decide("home-hero", page("unheard-of", "日本語"), offers, 3)

    assert isinstance(first, Decision)
    assert first == personalizer.decide("home-hero", page("unheard-of", "日本語"), offers, 3)


LONG = "x" * 129
BAD = {
    "no candidates": ("no-candidates", page("water"), (), 0),
    "no signal": ("no-signal", NOTHING, CANDIDATES, 0),
    "entropy 16": ("bad-entropy", page("water"), CANDIDATES, 16),
    "entropy 255": ("bad-entropy", page("water"), CANDIDATES, 255),
    "one asset twice": ("bad-input", page("water"), (CANDIDATES[0], CANDIDATES[0]), 0),
    "asset without a name": ("bad-input", page("water"), (Candidate("", ("a",), ("b",)),), 0),
    "asset without a text": ("bad-input", page("water"), (Candidate("a", ("a",), ()),), 0),
    "long asset": ("bad-input", page("water"), (Candidate(LONG, ("a",), ("b",)),), 0),
    "long tag": ("bad-input", page("water"), (Candidate("a", (LONG,), ("b",)),), 0),
    "empty tag": ("bad-input", page("water"), (Candidate("a", ("",), ("b",)),), 0),
    "long copy": ("bad-input", page("water"), (Candidate("a", ("a",), ("b" * 513,)),), 0),
    "many copies": ("bad-input", page("water"), (Candidate("a", ("a",), ("b",) * 9),), 0),
    "many tags": ("bad-input", page("water"), (Candidate("a", ("a",) * 33, ("b",)),), 0),
    "many candidates": (
        "bad-input",
        page("water"),
        tuple(Candidate(f"a{number}", ("a",), ("b",)) for number in range(65)),
        0,
    ),
    "long section": ("bad-input", page(LONG), CANDIDATES, 0),
    "long page tag": ("bad-input", page("water", LONG), CANDIDATES, 0),
    "many page tags": ("bad-input", page("water", *["a"] * 33), CANDIDATES, 0),
    "long path": ("bad-input", Signals(page=PageContext("/" * 513, "water", (), "en")), CANDIDATES, 0),
    "long language": ("bad-input", Signals(page=PageContext("/", "water", (), LONG)), CANDIDATES, 0),
    "long history": ("bad-input", clicked(*["tent"] * 257), CANDIDATES, 0),
    "long item": ("bad-input", Signals(history=(Interaction("click", LONG, (), 0),)), CANDIDATES, 0),
    "long arm": ("bad-input", Signals(experiment=ExperimentArm("promo", LONG)), ARMS, 0),
    "arm without a name": ("bad-input", Signals(experiment=ExperimentArm("promo", "")), ARMS, 0),
}


@pytest.mark.parametrize(("code", "signals", "candidates", "entropy"), BAD.values(), ids=BAD)
def test_bad_input_is_refused(
    personalizer: Personalizer, code: str, signals: Signals, candidates: tuple[Candidate, ...], entropy: int
) -> None:
    """Each refusal has the code of the contract; the next request is served."""
    assert _refusal(personalizer, signals, candidates, entropy) == code
    assert personalizer.decide("home-hero", page("water"), CANDIDATES, 0).asset == "hero-water"


def test_the_slot_has_a_name(personalizer: Personalizer) -> None:
    """A slot without a name, or with an endless one, is refused."""
    for slot in ("", LONG):
        with pytest.raises(Rejected, match="decided nothing"):
            personalizer.decide(slot, page("water"), CANDIDATES, 0)


def test_the_largest_lawful_input_is_served(personalizer: Personalizer) -> None:
    """Everything at its limit at once still fits the sandbox's time and memory."""
    tags = tuple(f"tag-{number:02}-{'x' * 100}" for number in range(32))
    candidates = tuple(Candidate(f"a{number}", tags, ("copy " * 100,) * 8) for number in range(64))
    history = tuple(Interaction("click", f"item-{number}", tags, number % 8) for number in range(256))

    assert personalizer.decide("home-hero", Signals(history=history), candidates, 0).asset == "a0"


def _refusal(personalizer: Personalizer, signals: Signals, candidates: tuple[Candidate, ...], entropy: int = 0) -> str:
    with pytest.raises(Rejected) as refusal:
        personalizer.decide("home-hero", signals, candidates, entropy)
    return refusal.value.code
