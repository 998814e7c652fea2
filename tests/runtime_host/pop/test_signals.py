"""A function sees its category's own signal and what is below it, nothing else."""

import hashlib
import hmac
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.decision.contract import (
    Adjustment,
    Candidate,
    Decision,
    ExperimentArm,
    Interaction,
    PageContext,
)
from consent_core.decision.signals import (
    arm_of,
    choose_signals,
    entropy_of,
    page_context,
)
from consent_core.formats.catalogue import Experiment
from consent_core.formats.token import CATEGORIES
from runtime_host.pop.serving.decisions import Decider, Offer
from tests.runtime_host.pop.edge import visitor

PAGE = PageContext("/", "camping", (), "en")
HISTORY = (Interaction("click", "tent", (), 0),)
ARM = ExperimentArm("tile", "a")


@pytest.mark.parametrize(
    ("category", "effective", "seen"),
    [
        ("contextual", CATEGORIES, (PAGE, None, None)),
        ("behavioral", CATEGORIES, (PAGE, HISTORY, None)),
        ("behavioral", ("behavioral",), (None, HISTORY, None)),
        ("experimental", CATEGORIES, (PAGE, None, ARM)),
        ("experimental", ("experimental",), (None, None, ARM)),
        ("experimental", ("behavioral", "experimental"), (None, None, ARM)),
    ],
)
def test_signals_by_category(category, effective, seen):
    """A page may state more: only this much is passed on."""
    signals = choose_signals(category, effective, PAGE, HISTORY, ARM)

    assert (signals.page, signals.history, signals.experiment) == seen


def test_the_arm_is_the_same_everywhere_and_shared_out_by_weight():
    """A function of the visitor alone; three to one comes out as three to one."""
    experiment = Experiment("tile", (("a", 3), ("b", 1)))
    arms = [arm_of(experiment, visitor(number)).arm for number in range(4_000)]

    assert arms == [arm_of(experiment, visitor(number)).arm for number in range(4_000)]
    assert 0.72 < Counter(arms)["a"] / 4_000 < 0.78
    assert arms != [arm_of(Experiment("hero", experiment.arms), visitor(number)).arm for number in range(4_000)]


def test_entropy_is_the_documented_function():
    """First byte of HMAC-SHA256(POP key, sub ‖ slot ‖ day), mod 16."""
    message = b"A" * 22 + b"home-hero" + b"2027-01-15"
    expected = hmac.new(b"k" * 32, message, hashlib.sha256).digest()[0] % 16

    assert entropy_of(b"k" * 32, "A" * 22, "home-hero", 1_800_000_000) == expected


def test_entropy_is_even():
    """Each of the sixteen values comes up about as often."""
    counts = Counter(entropy_of(b"k" * 32, visitor(n), "home-hero", 1_800_000_000) for n in range(16_000))

    assert set(counts) == set(range(16))
    assert all(850 < count < 1_150 for count in counts.values())


@pytest.mark.parametrize(
    ("query", "page"),
    [
        (b"path=/a%20b", ("/a%20b", "", (), "")),
        (b"path=%2Fa%2520b", ("/a%20b", "", (), "")),
        (b"path=/" + "あ".encode() * 300, ("/" + "あ" * 255, "", (), "")),
        (b"path=/" + b"%E3%81%82" * 300, ("/" + "あ" * 255, "", (), "")),
        (b"path=/%C3%BCber-uns", ("/über-uns", "", (), "")),
        (b"path=/%FCber", ("/\ufffdber", "", (), "")),
        (b"path=/\xc3\xbcber", ("/über", "", (), "")),
        (b"path=/%0a%00", ("/%0A%00", "", (), "")),
        (b"path=x", ("", "", (), "")),
        (b"section=Camping", ("", "camping", (), "")),
        (b"section=+Camping+", ("", "camping", (), "")),
        (b"section=" + b"a" * 65, ("", "a" * 64, (), "")),
        (b"section=two+words", ("", "", (), "")),
        (b"section=%3Cscript%3E", ("", "", (), "")),
        (b"section=a&section=b", ("", "a", (), "")),
        (b"tags=a,B,,%00,a", ("", "", ("a", "b"), "")),
        (b"tags=" + b",".join(b"t%02d" % n for n in range(40)), ("", "", tuple(f"t{n:02}" for n in range(16)), "")),
        (b"language=zh_CN", ("", "", (), "zh-CN")),
        (b"language=zh_CN.UTF-8", ("", "", (), "zh-CN")),
        (b"language=de-AT,de;q=0.9", ("", "", (), "de-AT")),
        (b"language=english!", ("", "", (), "")),
        (b"=x&&&%&path", ("", "", (), "")),
        (b"&".join(b"a%d=1" % n for n in range(40)) + b"&section=late", ("", "", (), "")),
    ],
)
def test_a_page_context_is_brought_to_its_form_or_left_out(query, page):
    """Any address of a page: the default picture is the worst that may happen."""
    assert page_context(query) == PageContext(*page)


@given(st.binary(max_size=6_000) | st.text(max_size=2_000).map(lambda text: f"path=/{text}&section={text}".encode()))
def test_no_query_is_refused_and_none_gives_a_guest_what_it_refuses(query):
    """Every member has the form that functions are promised."""
    page = page_context(query)

    assert re.fullmatch(r"(?:/[^\x00-\x20\x7f]{0,255})?", page.path)
    assert all(
        re.fullmatch(r"[a-z0-9](?:[a-z0-9:_-]{0,62}[a-z0-9])?", word) for word in (*page.tags, page.section or "a")
    )
    assert len(page.tags) <= 16
    assert re.fullmatch(r"(?:[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3})?", page.language)


def test_tags_are_a_set():
    """Order and repetition make no second memory entry."""
    assert page_context(b"tags=b,a,b") == page_context(b"tags=a,b")


class Counting:
    """A personaliser that counts. `digest` may be changed, as by a new release."""

    def __init__(self):
        self.digest, self.calls = "sha256:1", 0

    async def adecide(self, slot, signals, candidates, entropy):
        self.calls += 1
        return Decision(candidates[0].asset, "c", Adjustment(), 16, False)


@pytest.mark.parametrize("change", ["digest", "slot", "signals", "candidates", "entropy"])
def test_a_decision_is_remembered_for_exactly_its_inputs(run, change):
    """One different input is another decision."""
    function = Counting()
    decider = Decider(dict.fromkeys(CATEGORIES, function), 100)
    offer = Offer("home-hero", (Candidate("tents", (), ("c",)),))
    signals = choose_signals("contextual", CATEGORIES, PAGE, None, None)
    made = run(decider.decide("contextual", offer, signals, 3))
    assert decider.lookup("contextual", offer, signals, 3) is made
    entropy = 3
    if change == "digest":
        function.digest = "sha256:2"
    elif change == "slot":
        offer = Offer("other", offer.candidates)
    elif change == "signals":
        signals = choose_signals("contextual", CATEGORIES, PageContext("/", "water", (), "en"), None, None)
    elif change == "candidates":
        offer = Offer("home-hero", (Candidate("tents", ("camping",), ("c",)),))
    else:
        entropy = 4

    assert decider.lookup("contextual", offer, signals, entropy) is None


def test_the_memory_is_bounded(run):
    """However many different pages are asked for."""
    decider = Decider(dict.fromkeys(CATEGORIES, Counting()), 10)
    offer = Offer("home-hero", (Candidate("tents", (), ("c",)),))
    for number in range(200):
        page = PageContext(f"/{number}", "", (), "")
        run(decider.decide("contextual", offer, choose_signals("contextual", CATEGORIES, page, None, None), 3))

    assert len(decider) <= 10


def test_equal_decisions_are_one_object_per_slot_and_category(run):
    """Signals are many, decisions few: what is made of a decision is made and held once."""
    decider = Decider(dict.fromkeys(CATEGORIES, Counting()), 10)
    offer = Offer("home-hero", (Candidate("tents", (), ("c",)),))
    pages = [choose_signals("contextual", CATEGORIES, PageContext(f"/{n}", "", (), ""), None, None) for n in (1, 2)]
    one, same = (run(decider.decide("contextual", offer, signals, 3)) for signals in pages)
    elsewhere = run(decider.decide("contextual", Offer("other", offer.candidates), pages[0], 3))
    otherwise = run(decider.decide("behavioral", offer, pages[0], 3))

    assert one is same
    assert len({id(shown) for shown in (one, elsewhere, otherwise)}) == 3
