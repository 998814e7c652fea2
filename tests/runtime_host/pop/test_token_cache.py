"""What is remembered of a token is never trusted for what it was (CONTRACTS section 1)."""

import hashlib
from dataclasses import dataclass, field

import pytest

from consent_core.decision.credentials import presented_token
from consent_core.errors import Rejected
from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES, Claims, Key
from consent_core.policy.table import Effective
from runtime_host.pop.serving.token_cache import TokenCache, check_key, effective

NOW = 1_800_000_000
YES = "sha256:" + "a" * 64
POLICY = "sha256:" + "b" * 64
TEXT = b"header.payload.signature"


@dataclass
class Policy:
    hash: str = POLICY
    revision: int = 1

    @property
    def table(self):
        return self

    def lookup(self, jurisdiction, gpc, choices):
        return Effective(choices, {}, jurisdiction, gpc)


@dataclass
class TrustState:
    """What is in force, settable. `generation` is the caller's to raise."""

    generation: int = 0
    fresh: bool = True
    policy: Policy | None = field(default_factory=Policy)
    statuses: dict = field(default_factory=lambda: {POLICY: "current"})
    gone: dict = field(default_factory=dict)
    published: tuple = (Key("k-1", "ed25519", b"k" * 32),)
    revoked: frozenset = frozenset()
    asked: int = 0
    texts: frozenset = frozenset()

    def in_sync(self):
        return self.fresh

    def hash_status(self, policy_hash):
        return self.statuses.get(policy_hash, "unknown")

    def denied(self, subject, ver):
        return frozenset(c for c, below in self.gone.get(subject, {}).items() if ver < below)

    def keys(self):
        return self.published

    def key_revoked(self, kid):
        return kid in self.revoked

    def text_denied(self, digest):
        return digest in self.texts

    def now(self):
        return NOW

    def request_sync(self):
        self.asked += 1

    def request_key(self, kid):
        pass


def claims(sub="A" * 22, ver=1, scopes=CATEGORIES, policy=POLICY):
    return Claims("issuer", "edge", sub, NOW, NOW + 300, "jti", ver, scopes, "tokyo-1", policy)


@pytest.fixture
def trust_state():
    return TrustState()


@pytest.fixture
def cache():
    made = TokenCache(100)
    made.remember(TEXT, claims(), "k-1", YES, 0)
    return made


def test_a_hit_gives_the_claims_back(cache, trust_state):
    """Same text, same component, nothing changed."""
    assert cache.lookup(TEXT, YES, trust_state, 0, NOW).claims == claims()


def test_the_complete_text_is_the_key(cache, trust_state):
    """A second signature over the same claims, or any other spelling, is another token."""
    for other in (TEXT + b"=", TEXT[:-1], TEXT.upper(), b" " + TEXT):
        assert cache.lookup(other, YES, trust_state, 0, NOW) is None


def test_the_text_itself_is_not_kept(cache):
    """A reader of this process's memory of tokens finds digests."""
    kept = {**cache._known._young, **cache._known._old}

    assert list(kept) == [hashlib.sha256(TEXT).digest()]


def test_a_token_that_was_itself_taken_back_is_refused_from_the_next_look_on(cache, trust_state):
    """By its text alone, of any visitor; another token of the same visitor is not meant."""
    cache.remember(b"another", claims(), "k-1", YES, 0)
    trust_state.texts = frozenset({hashlib.sha256(TEXT).hexdigest()})
    with pytest.raises(Rejected) as refusal:
        cache.lookup(TEXT, YES, trust_state, 1, NOW)

    assert refusal.value.code == "token-revoked"
    assert cache.lookup(TEXT, YES, trust_state, 1, NOW) is None
    assert cache.lookup(b"another", YES, trust_state, 1, NOW) is not None


@pytest.mark.parametrize("late", [0, 1, 86_400])
def test_a_remembered_token_expires_to_the_second(cache, trust_state, late):
    """`exp` is held against the clock at each hit."""
    assert cache.lookup(TEXT, YES, trust_state, 0, NOW + 299) is not None
    with pytest.raises(Rejected) as refusal:
        cache.lookup(TEXT, YES, trust_state, 0, NOW + 300 + late)

    assert refusal.value.code == "token-expired"
    assert len(cache) == 0


def test_a_revoked_key_ends_what_it_signed(cache, trust_state):
    """Even while it is still published."""
    trust_state.revoked, trust_state.generation = frozenset({"k-1"}), 1
    with pytest.raises(Rejected) as refusal:
        cache.lookup(TEXT, YES, trust_state, 1, NOW)

    assert refusal.value.code == "token-key-revoked"


def test_a_key_that_is_no_longer_published_ends_what_it_signed(cache, trust_state):
    """Rotation took it away."""
    trust_state.published, trust_state.generation = (), 1
    with pytest.raises(Rejected) as refusal:
        cache.lookup(TEXT, YES, trust_state, 1, NOW)

    assert refusal.value.code == "token-kid"
    with pytest.raises(Rejected):
        check_key("k-1", trust_state)


def test_another_component_is_asked_again(cache, trust_state):
    """A yes is worth as much as the component that said it."""
    assert cache.lookup(TEXT, "sha256:" + "c" * 64, trust_state, 0, NOW) is None


def test_the_cache_is_bounded(trust_state):
    """However many tokens come, and what is used stays longest."""
    cache = TokenCache(10)
    cache.remember(b"hot", claims(), "k-1", YES, 0)
    for number in range(1_000):
        cache.remember(b"%d" % number, claims(), "k-1", YES, 0)
        assert cache.lookup(b"hot", YES, trust_state, 0, NOW) is not None

    assert len(cache) <= 10


def test_a_visitors_tokens_can_be_forgotten(cache):
    """All of this visitor's, and no other's."""
    cache.remember(b"second", claims(ver=2), "k-1", YES, 0)
    cache.remember(b"other", claims(sub="B" * 21 + "A"), "k-1", YES, 0)

    assert cache.forget(subject_of("A" * 22)) == 2
    assert len(cache) == 1


def known(cache, trust_state):
    return cache.lookup(TEXT, YES, trust_state, trust_state.generation, NOW)


def test_not_in_sync_closes_every_category(cache, trust_state):
    """Also for a token that was worth something a moment ago, and back again when healed."""
    token = known(cache, trust_state)
    before = effective(token, "EU", False, trust_state)
    trust_state.fresh = False
    closed = effective(token, "EU", False, trust_state)
    trust_state.fresh = True

    assert (before.categories, closed.categories, closed.code) == (CATEGORIES, (), "not-in-sync")
    assert effective(token, "EU", False, trust_state) == before


def test_a_denial_takes_its_categories_from_lower_versions(cache, trust_state):
    """By subject, category and version; the code says so."""
    trust_state.gone = {subject_of("A" * 22): {"behavioral": 2}}
    trust_state.generation = 1
    grant = effective(known(cache, trust_state), "EU", False, trust_state)

    assert (grant.categories, grant.code) == (("contextual", "experimental"), "revoked")


def test_no_policy_or_an_unknown_one_closes_everything(cache, trust_state):
    """And asks for a sync each time; how often one really runs is the sync room's business."""
    token = known(cache, trust_state)
    trust_state.statuses = {}
    assert effective(token, "EU", False, trust_state).code == "policy-unknown"
    trust_state.statuses, trust_state.policy = {POLICY: "current"}, None

    assert effective(token, "EU", False, trust_state).categories == ()
    assert trust_state.asked == 2


def test_a_pop_only_narrows(cache, trust_state):
    """A table that allows more than the token's scopes adds nothing."""
    cache.remember(b"narrow", claims(scopes=("contextual",)), "k-1", YES, 0)
    trust_state.policy.lookup = lambda *_: Effective(CATEGORIES, {}, "EU", False)
    token = cache.lookup(b"narrow", YES, trust_state, 0, NOW)

    assert effective(token, "EU", False, trust_state).categories == ("contextual",)


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer " + b"a" * 4_097},
        {b"cookie": b"t=" + b"a" * 4_097},
        {b"cookie": b"t=" + b"a" * 1_000_000},
        {b"cookie": b"x=" + b"a" * 70_000 + b"; t=a.b.c"},
    ],
)
def test_an_oversized_token_is_refused_before_anything_is_done_with_it(headers):
    """Not hashed, not decoded, not handed to a guest."""
    with pytest.raises(Rejected) as refusal:
        presented_token(headers, b"t")

    assert refusal.value.code == "token-too-long"
