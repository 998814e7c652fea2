"""A pack of a real visitor: a session, two POPs, three witnesses; verified by who has only file and trust file."""

import base64
import json
import time

import httpx
import pytest
from rich.console import Console

from consent_core.formats.session import credentials_of, stored
from edge_cli.story import STEPS, tell
from fleet.processes import Fleet, PopSpec
from fleet.project import SHOP, prepare

SAME_SITE = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
POPS = [PopSpec("frankfurt-1", "EU"), PopSpec("tokyo-1", "JP")]
WITNESSES = ("w1", "w2", "w3")
PATIENCE_S = 240


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A beat of a second, an attestation every two."""
    place = tmp_path_factory.mktemp("evidence")
    stage = prepare(place / "data", place / "components", Console(quiet=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_POP_ATTEST_EVERY_S", "2")
        options = {"plane_options": ("--ledger-beat", "1"), "witnesses": WITNESSES}
        with Fleet(stage.data, POPS, site=SHOP / "site", components=stage.components, **options) as running:
            yield running


@pytest.fixture(scope="module")
def visitor(fleet):
    """A person who said yes, looked around, and said no; and the receipt of that no."""
    with httpx.Client(base_url=fleet.url("frankfurt-1"), headers=SAME_SITE, trust_env=False, timeout=60) as client:
        wait_for_reports(fleet)
        answer = client.post("/v1/consent", content=json.dumps({"grant": ["contextual", "behavioral"]}))
        keep_cookies(client, answer)
        for _ in range(3):
            assert client.get("/v1/slots/home-hero?section=water").json()["category"] == "contextual"
        time.sleep(3)  # the POPs attest a time that ended before the no: their own clocks, two seconds
        assert client.request("DELETE", "/v1/consent", content="{}").status_code in (200, 202)
        until(lambda: state_of(client)["ver"] == 2)  # a control plane that takes more than a second is told later
        return state_of(client)["receipt"]


def state_of(client):
    """What a POP says of this person's consent, with the receipt of its last change."""
    return client.get("/v1/consent").json()


def keep_cookies(client, answer):
    """Over plain HTTP a client drops `Secure` cookies, which browsers keep on loopback."""
    pairs = [line.partition(";")[0] for line in answer.headers.get_list("set-cookie")]
    client.headers["cookie"] = "; ".join(pairs)


def wait_for_reports(fleet):
    """Until both POPs are on the list: what happened before it, no list could show."""
    until(lambda: sum(place.startswith("edge/") for place in listed(fleet)) == 2)


def listed(fleet):
    for n in (3, 2, 1):
        answer = httpx.get(f"{fleet.control_plane_url}/ledger/attesters/{n}", trust_env=False, timeout=60)
        if answer.status_code == 200:
            return answer.json()["places"]
    return []


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


def subject_in(receipt):
    payload = receipt.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=="))["pii_principal_id"]


def made(edge, fleet, receipt, question, out):
    """The pack, once nothing that the question needs is open."""
    who = ("--data", fleet.data, "--control-plane", fleet.mesh_url, "--as", "ann")

    def ready():
        asked = ("--subject", subject_in(receipt), "--question", question, "--out", out)
        said = edge("evidence", "pack", *asked, *who, "--json")
        return said.code == 0 and not set(said.json["open"]) & {"enforced", "erased"}

    until(ready)


@pytest.mark.slow
def test_a_real_visitors_pack_is_verified_by_a_stranger(edge, fleet, visitor, tmp_path):
    """The file, the person's own receipt and trust.json; nothing of the operator's is at hand."""
    made(edge, fleet, visitor, "enforcement", tmp_path / "pack.json")
    (tmp_path / "receipt.jwt").write_text(visitor)
    (tmp_path / "trust.json").write_bytes((fleet.data / "trust.json").read_bytes())
    given = ("--trust", tmp_path / "trust.json", "--receipt", tmp_path / "receipt.jwt", "--data", tmp_path / "nothing")
    said = edge("evidence", "verify", tmp_path / "pack.json", *given, "--json")
    verdicts = {check["number"]: check["verdict"] for check in said.json["checks"]}

    assert said.code == 0, said.out
    assert said.json["lines"][1].startswith("2 of the 3 witnesses")
    assert all(verdicts[number] == "holds" for number in (*range(13), 17))


@pytest.mark.slow
def test_a_purge_is_stated_by_every_pop(edge, fleet, visitor, tmp_path):
    """Counted, deleted, counted again; the proof of consent is still there."""
    who = ("--data", fleet.data, "--control-plane", fleet.mesh_url, "--as", "ann")
    assert edge("purge", "--session", subject_in(visitor), "--wait", "240", *who, "--json").code == 0
    made(edge, fleet, visitor, "deletion", tmp_path / "pack.json")
    said = edge("evidence", "show", tmp_path / "pack.json", "--trust", fleet.data / "trust.json", "--json")
    told = [row["said"] for row in said.json if "deleted" in row["said"]]

    assert sorted(line.partition(" ")[0] for line in told) == ["edge/frankfurt-1", "edge/tokyo-1"]
    assert all(line.endswith("0 remain") for line in told)


@pytest.fixture(scope="module")
def told(fleet, tmp_path_factory):
    """The whole story, once."""
    return tell(fleet, "ann", tmp_path_factory.mktemp("story"))


@pytest.mark.slow
def test_the_story_ends_with_a_file_that_shows_the_deletion(told):
    """Yes, picture, no, request, every place at 0, the proofs gone: verified with receipt and closing statement."""
    verdicts = {result.name: result.verdict for result in told.verdict.results}

    assert told.verdict.answered, told.verdict.value()
    assert (verdicts["subject"], verdicts["deletion"], verdicts["completeness"]) == ("holds",) * 3
    assert [step.name for step in told.steps] == list(STEPS)
    assert (told.pack.parent / "pack.html").read_text().startswith("<!doctype html>")


def of_the_person(told):
    """What an outsider looks for, by what it is: pseudonym, secrets and what is derived of them, tokens, receipt."""
    texts = {"receipt": (told.pack.parent / "receipt.jwt").read_text().split(".")[1]}
    for value, name in told.person.items():
        if name.endswith("consent-token") and value:
            claims = json.loads(base64.urlsafe_b64decode(value.split(".")[1] + "=="))
            texts |= {"token": value, "jti": claims["jti"], "sub": claims["sub"]}
        if name.endswith("consent-session"):
            made = credentials_of(value.encode())
            texts |= {"session": value.removeprefix("2."), "grant": made.grant, "withdraw": made.withdraw}
            texts |= {"session row": stored(made.grant), "withdraw row": stored(made.withdraw)}
    return texts


def as_stored(text):
    """As text, and as the bytes that it encodes."""
    hexadecimal = len(text) == 64 and set(text) <= set("0123456789abcdef")
    if "." in text:
        return (text.encode(),)
    return (text.encode(), bytes.fromhex(text) if hexadecimal else base64.urlsafe_b64decode(text + "=="))


def content(path):
    """Of a file that a running process may have taken away since it was listed."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


@pytest.mark.slow
def test_an_outsider_finds_nothing_of_the_person_in_any_file(fleet, told):
    """Raw bytes of every file of every process, write-ahead logs and free pages too, while all of them run."""
    looked_for = of_the_person(told)
    files = [path for path in fleet.data.rglob("*") if path.is_file()]
    found = {
        (str(path.relative_to(fleet.data)), name)
        for path in files
        for data in [content(path)]
        for name, text in looked_for.items()
        if any(form in data for form in as_stored(text))
    }

    assert {"token", "jti", "sub", "session", "grant", "withdraw", "receipt"} <= looked_for.keys()
    assert {path.name for path in files} >= {"consent.db", "pop.db", "ledger.db"}
    assert found == set()
    closing = (told.pack.parent / "closing.jwt").read_text().split(".")[1]
    assert "freed memory" in " ".join(json.loads(base64.urlsafe_b64decode(closing + "=="))["left"])


@pytest.mark.slow
def test_the_checklist_shows_each_promise(edge, fleet, visitor):
    """Each is shown by what was seen just now; what cannot be asked is not kept."""
    who = ("--data", fleet.data, "--control-plane", fleet.mesh_url, "--as", "ann")

    def kept():
        return [row["kept"] for row in edge("doctor", "--checklist", *who, "--json").json]

    until(lambda: kept() == [True, True, True, False, True])  # nobody named an admin listener to look at
