"""The decision contract, on every host."""

import json

import pytest

from .cases import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_host_keeps_the_contract(case, host, world, started, note):
    """Status, category, code, refresh: as the table says; the bytes: as the native POP's."""
    name, edge = host
    world.condition = case.condition
    headers = [("host", "127.0.0.1"), *case.make(world)]
    note(name, case.name, "differs")

    reply = edge.ask(case.method, case.target, headers)
    model = started("native").ask(case.method, case.target, headers)

    assert (reply.status, reply.code) == (case.status, case.code)
    assert (reply.headers.get("consent-refresh") == "1") is case.refresh
    if case.status == 200 and case.method == "GET":
        assert json.loads(reply.body)["category"] == case.category
    assert reply.body == model.body
    assert reply.headers == model.headers
    note(name, case.name, "same")
