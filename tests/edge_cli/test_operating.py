"""An operator's commands against a control plane and a POP that run as real processes, over mutual TLS."""

import base64
import json
import shutil
import time

import httpx
import pytest
from rich.console import Console

from consent_core.resources import resource
from fleet.processes import Fleet, PopSpec
from fleet.project import SHOP, prepare

from .live_objects import live_texts

SAME_SITE = {"content-type": "application/json", "sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """One control plane, one POP in the EU."""
    place = tmp_path_factory.mktemp("operated")
    stage = prepare(place / "data", place / "components", Console(quiet=True))
    with Fleet(stage.data, [PopSpec("frankfurt-1", "EU")], site=SHOP / "site", components=stage.components) as running:
        yield running


@pytest.fixture
def operate(fleet, edge):
    """A command of operator `ann` on this fleet."""

    def run(*arguments):
        return edge(*arguments, "--data", fleet.data, "--control-plane", fleet.mesh_url, "--as", "ann", "--json")

    return run


@pytest.fixture
def visitor(fleet):
    """A visitor who said yes to everything, and the pseudonym in the token."""
    client = httpx.Client(base_url=fleet.url("frankfurt-1"), headers=SAME_SITE, trust_env=False, timeout=60)
    answer = client.post("/v1/consent", content=json.dumps({"grant": ["contextual", "behavioral", "experimental"]}))
    assert answer.status_code == 200
    cookies = {}
    for line in answer.headers.get_list("set-cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        cookies[name.removeprefix("__Host-").removeprefix("__Secure-")] = value
    payload = cookies["consent-token"].split(".")[1]
    client.headers["authorization"] = f"Bearer {cookies['consent-token']}"
    yield client, json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"]
    client.close()


def personalised(client):
    return client.get("/v1/slots/home-hero?section=water&path=/").json()["category"] != "default"


def until(condition, patience_s=120.0):
    """Poll a real process; the bound is far above what it takes."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_status_shows_every_pop_with_the_policy_in_force(operate):
    """Hash, since when, how far in the log, what was refused."""
    said = operate("policy", "status")

    assert said.code == 0
    (pop,) = said.json["pops"]
    assert (pop["pop"], pop["current"], pop["untrusted"]) == ("frankfurt-1", True, {})


def test_a_published_policy_reaches_the_pop(operate):
    """The operator signs and approves; the next revision is in force everywhere."""
    before = operate("policy", "status").json["policy_hash"]

    said = operate("policy", "publish", "--policies", resource("policies"))

    assert said.code == 0, said.out
    assert said.json["revision"] == 2
    assert said.json["approver"] == "spiffe://ui-tools/operator/ann"
    assert said.json["hash"] != before
    until(lambda: operate("policy", "status").json["pops"][0]["policy_hash"] == said.json["hash"])


def test_revoking_a_session_stops_personalisation(operate, visitor):
    """Done twice, it is one entry."""
    client, sub = visitor
    assert personalised(client)

    first, again = operate("revoke", sub), operate("revoke", sub)

    assert (first.code, first.json["kind"]) == (0, "session")
    assert again.json["seq"] == first.json["seq"]
    until(lambda: not personalised(client))


def test_a_purge_has_a_receipt_from_every_pop(operate, visitor):
    """The command waits for them and exits 0 once all have come."""
    client, sub = visitor

    said = operate("purge", "--session", sub, "--wait", "240")

    assert said.code == 0, said.out
    assert [pop["pop"] for pop in said.json["pops"] if pop["receipt"]] == ["frankfurt-1"]
    assert not personalised(client)


def test_no_object_of_the_pop_holds_an_erased_visitor(operate, fleet, visitor):
    """Its memory, read from outside: after the receipt neither pseudonym nor secret nor token is in a live object."""
    client, sub = visitor
    cookies = {cookie.name.split("consent-")[-1]: cookie.value for cookie in client.cookies.jar}
    pop = fleet.pops["frankfurt-1"].process.pid
    texts = [sub.encode(), cookies["session"].encode(), client.headers["authorization"].split()[1].encode()]
    client.get("/v1/consent")
    before = live_texts(pop, texts)

    assert operate("purge", "--session", sub, "--wait", "240").code == 0
    assert before >= {sub.encode()}
    assert live_texts(pop, texts) == set()


def test_a_rotated_key_signs_and_the_old_one_ends(operate, edge, fleet):
    """`keys list` shows both, the older one with an end; `keys revoke` takes it away at once."""
    old = next(key for key in edge("keys", "list", "--data", fleet.data, "--json").json if key["role"] == "token")

    made = operate("keys", "rotate", "token", "--overlap", "300").json
    listed = {key["kid"]: key for key in edge("keys", "list", "--data", fleet.data, "--json").json}
    revoked = operate("keys", "revoke", old["kid"])

    assert made["kid"] != old["kid"]
    assert listed[old["kid"]]["not_after"] is not None
    assert listed[made["kid"]]["not_after"] is None
    assert (revoked.code, revoked.json["kind"], revoked.json["subject"]) == (0, "key", old["kid"])


def test_what_the_control_plane_refuses_comes_with_its_code_and_exit_1(operate):
    """Not a stack trace."""
    unknown, malformed = operate("keys", "revoke", "token-0000000000000000"), operate("revoke", "not a sub")

    assert (unknown.code, unknown.json["error"]["code"]) == (1, "key-unknown")
    assert (malformed.code, malformed.json["error"]["code"]) == (1, "bad-request")


def test_an_unreachable_control_plane_is_said(edge, fleet):
    """Nothing listens on port 1."""
    said = edge("policy", "status", "--data", fleet.data, "--control-plane", "https://127.0.0.1:1", "--json")

    assert (said.code, said.json["error"]["code"]) == (1, "control-plane-unreachable")


def test_the_audit_trail_is_verified_read_and_wrapped_anew_while_it_is_written(edge, fleet, visitor):
    """Every request is a record; rotating the wrapping key loses none."""
    client, _sub = visitor
    for _ in range(20):
        client.get("/v1/slots/home-hero?section=water&path=/")

    before = edge("audit", "verify", "--data", fleet.data, "--json")
    rotated = edge("audit", "rotate", "--data", fleet.data, "--json")
    after = edge("audit", "verify", "--data", fleet.data, "--json")
    read = edge("audit", "read", "frankfurt-1", "--data", fleet.data, "--limit", "30", "--json")
    unknown = edge("audit", "read", "../..", "--data", fleet.data, "--json")

    assert (before.code, rotated.code, after.code, read.code, unknown.code) == (0, 0, 0, 0, 1)
    assert before.json["ok"]
    assert after.json["records"] >= before.json["records"] >= 20
    assert {report["directory"] for report in rotated.json} == {"control-plane", "frankfurt-1"}
    assert sum(record["fields"].get("slot") == "home-hero" for record in read.json) >= 20
    assert any(record["person"] is not None for record in read.json)


def test_a_receipt_is_verified_and_leads_to_the_record(edge, fleet, tmp_path):
    """What a person was given, as it came or alone; one letter changed is exit 1; its subject finds the trail."""
    url = f"{fleet.url('frankfurt-1')}/v1/consent"
    answer = httpx.post(
        url, headers=SAME_SITE, content=json.dumps({"grant": ["contextual"]}), trust_env=False, timeout=60
    )
    kept, alone, altered = tmp_path / "answer.json", tmp_path / "receipt.jwt", tmp_path / "altered.jwt"
    receipt = answer.json()["receipt"]
    kept.write_text(answer.text)
    alone.write_text(f"{receipt}\n")
    header, payload, signature = receipt.split(".")
    altered.write_text(f"{header}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}")

    told = [edge("receipt", path, "--data", fleet.data, "--json") for path in (kept, alone, altered)]
    shown = edge("receipt", kept, "--trust", fleet.data / "trust.json")

    assert [said.code for said in told] == [0, 0, 1]
    assert told[0].json == told[1].json
    assert told[2].json["error"]["code"] == "trust-signature"
    assert [purpose["effective"] for purpose in told[0].json["purposes"]] == [True, False, False]
    assert "genuine" in shown.out
    subject = told[0].json["pii_principal_id"]
    records = edge("audit", "read", "frankfurt-1", "--sub", subject, "--data", fleet.data, "--json").json
    assert [record["fields"]["route"] for record in records] == ["consent"]


@pytest.mark.parametrize("text", ["", "{", '{"receipt": null}', "[]", "a.b.c"])
def test_what_is_no_receipt_is_refused(edge, fleet, tmp_path, text):
    """Any text that a person pastes."""
    path = tmp_path / "pasted"
    path.write_text(text)

    said = edge("receipt", path, "--data", fleet.data, "--json")

    assert (said.code, said.json["error"]["code"]) == (1, "receipt-malformed")


def test_a_cut_trail_is_exit_1(edge, fleet, tmp_path):
    """A byte in the middle of a copy."""
    shutil.copytree(fleet.data / "audit", tmp_path / "audit")
    shutil.copytree(fleet.data / "keyring", tmp_path / "keyring")
    log = next((tmp_path / "audit" / "edge" / "frankfurt-1").glob("*.log"))
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)

    said = edge("audit", "verify", "--data", tmp_path, "--json")

    assert said.code == 1
    assert not said.json["ok"]
