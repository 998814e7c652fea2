"""Another site cannot change a visitor's consent with the visitor's cookies."""

import json

import pytest

from tests.runtime_host.pop.edge import ask

CHANGES = [
    ("POST", "/v1/consent"),
    ("DELETE", "/v1/consent"),
    ("POST", "/v1/consent/refresh"),
    ("POST", "/v1/events"),
    ("POST", "/v1/vitals"),
]
JSON = {"content-type": "application/json", "host": "shop.example"}
FOREIGN = [
    {**JSON, "sec-fetch-site": "cross-site"},
    {**JSON, "sec-fetch-site": "same-site"},
    {**JSON, "sec-fetch-site": "none"},
    {**JSON, "sec-fetch-site": "cross-site", "origin": "https://shop.example"},
    {**JSON, "origin": "https://evil.example"},
    {**JSON, "origin": "null"},
    {**JSON, "origin": "https://shop.example.evil.example"},
    {**JSON, "origin": "https://shop.example:8443"},
    {**JSON, "origin": "https://user@shop.example"},
    {**JSON},
    {"host": "shop.example", "sec-fetch-site": "same-origin", "content-type": "text/plain"},
    {"host": "shop.example", "sec-fetch-site": "same-origin", "content-type": "text/plain; application/json"},
    {"host": "shop.example", "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"},
    {"content-type": "application/json", "origin": "https://"},
]


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("headers", FOREIGN)
def test_a_change_from_elsewhere_is_refused(edge, run, method, path, headers):
    """403 before the body is looked at."""
    reply = run(ask(edge.pop.public_app, method, path, headers, b"not even JSON"))

    assert (reply.status, reply.json()["error"]["code"]) == (403, "cross-site")


@pytest.mark.parametrize(
    "headers",
    [
        {**JSON, "sec-fetch-site": "same-origin"},
        {**JSON, "origin": "https://shop.example"},
        {**JSON, "content-type": "application/json; charset=utf-8", "origin": "http://shop.example"},
    ],
)
def test_a_change_from_this_site_is_heard(edge, run, headers):
    """A browser that says so, and a client that names this host."""
    body = json.dumps({"name": "LCP", "value": 0.5}).encode()

    assert run(ask(edge.pop.public_app, "POST", "/v1/vitals", headers, body)).status == 204


def test_a_configured_origin_is_this_site_too(tmp_path, catalogue, run):
    """Behind a front end the Host header may be another one."""
    from tests.runtime_host.pop.edge import make_edge

    edge = make_edge(tmp_path, catalogue, public_origins=("https://www.shop.example",))
    body = json.dumps({"name": "LCP", "value": 0.5}).encode()
    headers = {**JSON, "host": "10.0.0.1", "origin": "https://www.shop.example"}
    reply = run(ask(edge.pop.public_app, "POST", "/v1/vitals", headers, body))
    run(edge.pop.stop())

    assert reply.status == 204
