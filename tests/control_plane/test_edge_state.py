"""The edge state: what it says, who may not change it, and what it does not tell."""

import asyncio

import httpx
import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Untrusted
from consent_core.formats.edge_state import MAX_AGE_S, open_edge_state, sign_edge_state
from consent_core.formats.revocation import subject_of
from control_plane.app import create_app
from control_plane.settings import Settings

SUB = "A" * 22


@pytest.fixture
def plane(tmp_path):
    made = create_app(Settings(data=tmp_path, clock=ManualClock()))
    yield made
    made.close()


@pytest.fixture
def states(plane):
    from control_plane.api.edge_state import EdgeStates

    return EdgeStates(plane.log, plane.policies, plane.keys, plane.settings.clock)


def revoke(plane, *categories, ver=2, sub=SUB, kind="session"):
    with plane.log.writing() as writing:
        writing.append(kind, subject_of(sub), categories, ver)


def opened(plane, states):
    return open_edge_state(states.current(), plane.keys.trust_file(), plane.settings.clock.now(), revoked=frozenset())


def code(call):
    with pytest.raises(Untrusted) as caught:
        call()
    return caught.value.code


def test_a_state_survives_its_bytes(plane, states):
    """Signing and opening gives the same value back."""
    revoke(plane, "contextual")
    state = states.state()
    data = sign_edge_state(state, plane.keys.current("log"))
    assert open_edge_state(data, plane.keys.trust_file(), state.at, revoked=frozenset()) == state


def test_the_table_answers_as_the_policy(plane, states):
    """Every place, signal and set of choices has the answer of the bundle's own table."""
    state = opened(plane, states)
    with plane.log.reading() as connection:
        policy = plane.policies.current(connection)
    assert state.policy.hash == policy.hash
    for place in (*policy.table.jurisdictions, "XX"):
        for gpc in (False, True):
            for choices in ((), ("contextual",), ("contextual", "behavioral"), ("experimental",)):
                expected = policy.table.lookup(place, gpc, choices).categories
                assert state.policy.table.lookup(place, gpc, choices).categories == expected


def test_denials_are_found_by_who_holds_the_token(plane, states):
    """A token below the version has lost the categories, one at the version has not, another visitor's neither."""
    revoke(plane, "contextual", ver=2)
    revoke(plane, "contextual", "behavioral", ver=4)
    state = opened(plane, states)
    assert state.denials(subject_of(SUB), 1) == {"contextual", "behavioral"}
    assert state.denials(subject_of(SUB), 3) == {"contextual", "behavioral"}
    assert state.denials(subject_of(SUB), 4) == frozenset()
    assert state.denials(subject_of("B" * 21 + "A"), 1) == frozenset()


def test_no_visitor_can_be_followed_through_states(plane, states):
    """The name of a visitor is in no state, and two states name the same visitor differently."""
    revoke(plane, "contextual")
    first = states.current()
    plane.settings.clock.advance(1)
    second = states.current()
    assert subject_of(SUB).encode() not in first
    trust, now = plane.keys.trust_file(), plane.settings.clock.now()
    names = [set(open_edge_state(data, trust, now, revoked=frozenset()).denied) for data in (first, second)]
    assert not names[0] & names[1]


def test_denials_leave_with_the_tokens_they_stop(plane, states):
    """After two token lifetimes nobody can hold a token that the entry stops."""
    revoke(plane, "contextual")
    plane.settings.clock.advance(601)
    assert opened(plane, states).denied == {}


def test_revoked_keys_are_not_handed_out(plane, states):
    """A token key that the log took away is in no state."""
    kid = plane.keys.current("token").kid
    with plane.log.writing() as writing:
        writing.append("key", kid)
    assert kid not in {key.kid for key in opened(plane, states).keys}


def test_one_state_serves_everybody_for_a_moment(plane, states):
    """States are made a few times a second, however many ask."""
    first = states.current()
    assert states.current() is first
    plane.settings.clock.advance(1)
    assert states.current() != first


@pytest.mark.parametrize("age", [MAX_AGE_S, MAX_AGE_S + 1, 86_400, -6])
def test_a_state_of_another_minute_is_refused(plane, states, age):
    """A minute old is too old; so is one from the future."""
    data, now = states.current(), plane.settings.clock.now()
    assert (
        code(lambda: open_edge_state(data, plane.keys.trust_file(), now + age, revoked=frozenset()))
        == "edge-state-stale"
    )


def test_no_byte_of_a_state_can_change(plane, states):
    """Flipping any byte makes it untrusted, wherever it is."""
    revoke(plane, "contextual")
    data, now, trust = states.current(), plane.settings.clock.now(), plane.keys.trust_file()
    for place in range(0, len(data), 7):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(Untrusted):
            open_edge_state(changed, trust, now, revoked=frozenset())


def test_a_state_signed_by_another_role_is_refused(plane, states):
    """Only the log's key speaks here: a token key of the same control plane does not."""
    data, now = sign_edge_state(states.state(), plane.keys.current("token")), plane.settings.clock.now()
    assert code(lambda: open_edge_state(data, plane.keys.trust_file(), now, revoked=frozenset())) == "trust-key-unknown"


@pytest.mark.parametrize("data", [b"", b"\n", b"a b c\n{}", b"consent-edge/edge-state/v1 k !\n{}", b"{}", b"\xff" * 80])
def test_what_is_no_state_is_refused(plane, data):
    """Anything else is malformed, never a crash."""
    assert (
        code(lambda: open_edge_state(data, plane.keys.trust_file(), 0, revoked=frozenset())) == "edge-state-malformed"
    )


def test_both_listeners_answer(plane):
    """WASI hosts cannot present a certificate, so the public listener hands out the same state."""

    async def ask(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://plane") as client:
            return await client.get("/v1/edge-state")

    for app in (plane.mesh_app, plane.public_app):
        answer = asyncio.run(ask(app))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        open_edge_state(answer.content, plane.keys.trust_file(), plane.settings.clock.now(), revoked=frozenset())
