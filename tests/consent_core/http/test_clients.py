"""Who asks, behind proxies: the rightmost address that no trusted proxy has, and never what a client made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_core.http.clients import Clients

PROXY, CDN, VISITOR = "10.0.0.5", "192.0.2.9", "203.0.113.7"


def of(clients, peer, *headers):
    scope = {"client": (peer, 5000), "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers]}
    return clients.of(scope)


@pytest.fixture
def clients():
    return Clients.configured(("10.0.0.0/8", CDN), "127.0.0.1")


@pytest.mark.parametrize(
    ("header", "value", "client"),
    [
        ("x-forwarded-for", VISITOR, VISITOR),
        ("x-forwarded-for", f"1.2.3.4, {VISITOR}", VISITOR),  # the client made the first one up
        ("x-forwarded-for", f"{VISITOR}, {CDN}", VISITOR),  # two proxies in a row
        ("x-forwarded-for", f"10.9.9.9, {VISITOR}, {CDN}, 10.0.0.6", VISITOR),
        ("x-forwarded-for", f"{VISITOR}:4711", VISITOR),
        ("x-forwarded-for", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("x-forwarded-for", "[2001:db8:1:2:3:4:5:6]:4711", "2001:db8:1:2::/64"),
        ("x-forwarded-for", f"::ffff:{VISITOR}", VISITOR),
        ("x-forwarded-for", "unknown", PROXY),
        ("x-forwarded-for", f"{VISITOR}, rubbish", PROXY),
        ("x-forwarded-for", f"{VISITOR}, rubbish, {CDN}", CDN),
        ("x-forwarded-for", "", PROXY),
        ("x-forwarded-for", "10.0.0.1, 10.0.0.2", "10.0.0.1"),  # nobody but proxies: the farthest
        ("forwarded", f"for={VISITOR}", VISITOR),
        ("forwarded", f"for=1.2.3.4, For={VISITOR};proto=https;by={CDN}", VISITOR),
        ("forwarded", 'proto=https;for="[2001:db8:1:2:3:4:5:6]:4711"', "2001:db8:1:2::/64"),
        ("forwarded", "for=_hidden", PROXY),
        ("forwarded", "proto=https", PROXY),
    ],
)
def test_behind_a_trusted_proxy_its_word_counts(clients, header, value, client):
    """Read from the right; what cannot be read ends the walk at the last one who could be."""
    assert of(clients, PROXY, (header, value)) == client


def test_lines_of_one_header_are_one_list(clients):
    """A proxy may add a line of its own."""
    assert of(clients, PROXY, ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", VISITOR)) == VISITOR


def test_a_peer_that_forwards_nothing_is_the_client(clients):
    """Who connects past the proxy counts as itself; by /64 where it has IPv6."""
    assert of(clients, VISITOR) == VISITOR
    assert of(clients, "2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"


def test_a_proxy_that_nobody_named_limits_nobody_and_shows(clients):
    """All its visitors would be one client."""
    assert of(clients, "198.51.100.1", ("x-forwarded-for", VISITOR)) is None
    assert clients.strangers == 1


@pytest.mark.parametrize(
    ("proxies", "host", "limited"),
    [
        ((), "127.0.0.1", False),
        ((), "::1", False),
        ((), "localhost", False),
        ((), "0.0.0.0", True),
        ((PROXY,), "127.0.0.1", True),
    ],
)
def test_rates_are_off_where_every_client_is_this_machine(proxies, host, limited):
    """Until a proxy is named."""
    assert (of(Clients.configured(proxies, host), VISITOR) is not None) is limited


@pytest.mark.parametrize("proxy", ["proxy.example", "10.0.0.0/99", "10.0.0.1/8"])
def test_what_is_no_network_is_refused(proxy):
    """At the start, not at the first request."""
    with pytest.raises(ValueError, match=r"appear|host bits"):
        Clients.configured((proxy,), "127.0.0.1")


@given(st.text(max_size=80), st.sampled_from(["x-forwarded-for", "forwarded"]))
def test_nothing_that_a_client_writes_left_of_the_proxy_changes_who_it_is(made_up, header):
    """Whatever it sends itself, the proxy appends what it saw."""
    clients = Clients.configured((PROXY,), "127.0.0.1")
    text = made_up.encode("latin-1", "replace").decode("latin-1").replace('"', "")
    seen = VISITOR if header == "x-forwarded-for" else f"for={VISITOR}"

    assert of(clients, PROXY, (header, f"{text}, {seen}")) == VISITOR
