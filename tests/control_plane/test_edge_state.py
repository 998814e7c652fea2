"""The edge state: what it says, who may not change it, and what it does not tell."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from consent_core.errors import Untrusted
from consent_core.formats.edge_state import MAX_AGE_S, open_edge_state, sign_edge_state
from consent_core.formats.revocation import subject_of

SUB = "A" * 22


@pytest.fixture
def states(plane):
    from control_plane.api.edge_state import EdgeStates

    return EdgeStates(plane.log, plane.policies, plane.keys, plane.settings.clock)


def revoke(plane, *categories, ver=2, sub=SUB, kind="session"):
    with plane.log.writing() as writing:
        writing.append(kind, subject_of(sub), categories, ver)


def opened(plane, states):
    return open_edge_state(
        states.current().body, plane.keys.trust_file(), plane.settings.clock.now(), revoked=frozenset()
    )


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
    first = states.current().body
    plane.settings.clock.advance(1)
    second = states.current().body
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


@pytest.fixture
def builds(states):
    """How often a state was made."""
    made, build = [], states.state

    def counted():
        made.append(1)
        return build()

    states.state = counted
    return made


def test_one_state_serves_everybody_for_a_second(plane, states, builds):
    """A state is made once a second, however many ask."""
    for _ in range(40):
        for _ in range(20):
            states.current()
        plane.settings.clock.advance(0.125)

    assert len(builds) == 5


def test_a_change_is_in_the_state_a_quarter_of_a_second_later(plane, states, builds):
    """Once per change, and not for every one of many."""
    before = states.current()
    for ver in range(2, 12):
        revoke(plane, "contextual", ver=ver)
    assert states.current() is before
    plane.settings.clock.advance(0.25)

    assert opened(plane, states).denials(subject_of(SUB), 1) == {"contextual"}
    assert len(builds) == 2


def test_readers_do_not_wait_for_the_builder(plane, states):
    """While one state is made nineteen others are handed the last one, and no second build begins."""
    before, build = states.current(), states.state
    begun, go_on, calls = threading.Event(), threading.Event(), []

    def slow():
        calls.append(1)
        begun.set()
        assert go_on.wait(60)
        return build()

    states.state = slow
    plane.settings.clock.advance(2)
    with ThreadPoolExecutor(1) as pool:
        builder = pool.submit(states.current)
        assert begun.wait(60)
        others = [states.current() for _ in range(19)]
        go_on.set()
        made = builder.result(60)

    assert all(other is before for other in others)
    assert (made is not before, states.current() is made, len(calls)) == (True, True, 1)


def test_a_state_that_is_too_old_is_waited_for(plane, states, builds):
    """After a silence nobody gets the state of an hour ago, and twenty who wait make one."""
    states.current()
    plane.settings.clock.advance(3_600)
    with ThreadPoolExecutor(20) as pool:
        made = {reader.result(60) for reader in [pool.submit(states.current) for _ in range(20)]}

    assert (len(made), len(builds)) == (1, 2)


def test_a_state_that_takes_long_is_made_less_often(plane, states, builds):
    """A second of building is followed by four without."""
    build = states.state

    def slow():
        plane.settings.clock.advance(1)
        return build()

    states.state = slow
    for _ in range(40):
        states.current()
        plane.settings.clock.advance(0.5)

    assert len(builds) <= 5


def test_a_failed_build_leaves_the_lock_free(plane, states):
    """The next one asks again."""
    build = states.state

    def fails():
        raise Untrusted("edge-state-malformed", "once")

    states.state = fails
    assert code(states.current) == "edge-state-malformed"
    states.state = build
    assert opened(plane, states).head == plane.log.head()


@pytest.mark.parametrize("age", [MAX_AGE_S, MAX_AGE_S + 1, 86_400, -6])
def test_a_state_of_another_minute_is_refused(plane, states, age):
    """A minute old is too old; so is one from the future."""
    data, now = states.current().body, plane.settings.clock.now()
    assert (
        code(lambda: open_edge_state(data, plane.keys.trust_file(), now + age, revoked=frozenset()))
        == "edge-state-stale"
    )


def test_no_byte_of_a_state_can_change(plane, states):
    """Flipping any byte makes it untrusted, wherever it is."""
    revoke(plane, "contextual")
    data, now, trust = states.current().body, plane.settings.clock.now(), plane.keys.trust_file()
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


@pytest.mark.parametrize(
    ("encoding", "condition", "status", "packed"),
    [
        ("identity", None, 200, False),
        ("gzip", None, 200, True),
        ("gzip;q=0", None, 200, False),
        ("gzip", "{}-gzip", 304, True),
        ("gzip", "{}", 200, True),
        ("identity", "{}", 304, False),
        ("identity", "W/{}", 304, False),
        ("identity", "x", 200, False),
    ],
)
def test_a_reader_that_holds_the_state_gets_304(plane, encoding, condition, status, packed):
    """Each form has its own tag; a compressed state is the same bytes."""

    async def ask(**headers):
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(plane.public_app), base_url="http://plane"
        ) as client:
            return await client.get("/v1/edge-state", headers={"accept-encoding": encoding, **headers})

    tag = asyncio.run(ask()).headers["etag"].strip('"').removesuffix("-gzip")
    wanted = None if condition is None else condition.replace("{}-gzip", f'"{tag}-gzip"').replace("{}", f'"{tag}"')
    answer = asyncio.run(ask(**({} if wanted is None else {"if-none-match": wanted})))

    assert (answer.status_code, answer.headers.get("content-encoding")) == (
        status,
        "gzip" if packed and status == 200 else None,
    )
    assert answer.headers["etag"] == (f'"{tag}-gzip"' if packed else f'"{tag}"')
    if status == 200:
        trust, now = plane.keys.trust_file(), plane.settings.clock.now()
        open_edge_state(answer.content, trust, now, revoked=frozenset())
