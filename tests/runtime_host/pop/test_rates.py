"""One client may not take a POP for itself; a "no" has no rate, and a carrier's NAT is not one client's flood."""

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Rejected
from runtime_host.pop.serving.rates import BUCKETS, STREAM_SHARE, Bucket, Rate, Rates
from runtime_host.pop.serving.routes.stream import Listener, Streams
from tests.runtime_host.pop.edge import BROWSER, ask, make_edge

CLIENT, OTHER = "203.0.113.7", "198.51.100.1"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def rates(clock):
    return Rates(clock.elapsed, clients=100)


def taken(rates, client=CLIENT, rate=Rate.VISITOR, most=10_000):
    """How many a client gets at once, and how long it is told to wait then."""
    for count in range(most):
        try:
            rates.check(client, rate)
        except Rejected as refusal:
            return count, refusal.retry_after_s
    return most, None


@pytest.mark.parametrize("rate", Rate)
def test_a_burst_then_so_many_a_second(rates, clock, rate):
    """And who waits as long as it was told gets another."""
    bucket = BUCKETS[rate]
    count, wait = taken(rates, rate=rate)
    clock.advance(wait)

    assert count == bucket.burst
    assert taken(rates, rate=rate)[0] == wait * bucket.per_s
    clock.advance(3_600)
    assert taken(rates, rate=rate)[0] == bucket.burst


def test_one_client_does_not_use_up_anothers(rates):
    """Nor one rate another."""
    taken(rates)

    assert taken(rates, OTHER)[0] == BUCKETS[Rate.VISITOR].burst
    assert taken(rates, rate=Rate.STREAM)[0] == BUCKETS[Rate.STREAM].burst


def test_who_is_not_to_be_limited_is_not(rates):
    """No proxy named, or one that is not the named one."""
    assert taken(rates, client=None) == (10_000, None)


def test_a_million_clients_take_no_more_memory_than_a_hundred(rates):
    """The buckets are bounded."""
    for number in range(100_000):
        rates.check(str(number), Rate.VISITOR)

    assert len(rates) <= 100


def test_one_client_has_a_part_of_the_streams_and_gives_it_back():
    """Two thousand pages of one address are not everybody's."""
    streams = Streams(lambda: 0, 8, 15.0)
    listeners = [Listener(None, lambda: None, client=CLIENT) for _ in range(8 // STREAM_SHARE)]
    for listener in listeners:
        streams.require_room(CLIENT)
        streams._count(listener, 1)

    with pytest.raises(Rejected) as caught:
        streams.require_room(CLIENT)
    assert (caught.value.status, caught.value.retry_after_s) == (429, 30)
    streams.require_room(OTHER)
    for listener in listeners:
        streams._count(listener, -1)
    streams.require_room(CLIENT)
    assert not streams._of_client


@pytest.fixture
def proxied(tmp_path, catalogue, run, monkeypatch):
    """A POP behind a proxy that it knows; a client may make five visitors at once."""
    monkeypatch.setitem(BUCKETS, Rate.VISITOR, Bucket(5, 5.0))
    made = make_edge(tmp_path, catalogue, trusted_proxies=("10.0.0.5",))
    run(made.sync())
    yield made
    run(made.pop.stop())


async def say(edge, method, peer="10.0.0.5", client=CLIENT, body=b'{"grant":["contextual"]}', path="/v1/consent"):
    """Over the public application, as a request that came through `peer`."""

    async def through(scope, receive, send):
        await edge.pop.public_app({**scope, "client": (peer, 1)}, receive, send)

    return await ask(through, method, path, {**BROWSER, "x-forwarded-for": client}, body)


def test_a_flood_of_new_visitors_is_refused_with_the_seconds_to_wait(proxied, run):
    """429 before a row is written or the control plane is asked; another client and a "no" go on."""

    async def scenario():
        first = [await say(proxied, "POST") for _ in range(BUCKETS[Rate.VISITOR].burst)]
        asked = len(proxied.plane.requests)
        refused = await say(proxied, "POST")
        return first, refused, len(proxied.plane.requests) - asked, await say(proxied, "POST", client=OTHER)

    first, refused, asked, other = run(scenario())
    noes = [run(say(proxied, "DELETE", body=b'{"number":0}')).status for _ in range(20)]

    assert 429 not in {reply.status for reply in first}
    assert (refused.status, refused.code, refused.header("retry-after"), asked) == (429, "client-rate", "1", 0)
    assert other.status != 429
    assert 429 not in set(noes)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/vitals", b'{"name":"CLS","value":0}'), ("/v1/events", b'{"kind":"click","item":"tent"}')],
)
def test_one_client_reports_so_often_and_no_more(proxied, run, monkeypatch, path, body):
    """429 with the seconds to wait; another client is heard."""
    monkeypatch.setitem(BUCKETS, Rate.REPORT, Bucket(3, 1.0))

    async def scenario():
        mine = [await say(proxied, "POST", body=body, path=path) for _ in range(4)]
        return mine, await say(proxied, "POST", client=OTHER, body=body, path=path)

    mine, other = run(scenario())

    assert [reply.status == 429 for reply in mine] == [False, False, False, True]
    assert (mine[-1].code, mine[-1].header("retry-after"), other.status == 429) == ("client-rate", "1", False)


def test_a_proxy_that_nobody_named_is_a_warning_and_limits_nobody(proxied, run):
    """In `/readyz` under `stay`."""

    async def scenario():
        return {(await say(proxied, "POST", peer=OTHER)).status for _ in range(BUCKETS[Rate.VISITOR].burst + 5)}

    statuses = run(scenario())
    ready = run(ask(proxied.pop.admin_app, "GET", "/readyz"))

    assert 429 not in statuses
    assert (ready.status, list(ready.json()["stay"])) == (200, ["proxy-unknown"])
