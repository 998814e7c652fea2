"""The portal of Trust & Safety: who may look, what a form does, and what an operator sees."""

import http.client
from urllib.parse import urlencode, urlsplit

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Rejected
from edge_cli.portal.page import Seen, page, span
from edge_cli.portal.server import Portal, serving

NOW = 1_800_000_000
ANN = "spiffe://ui-tools/operator/ann"
HOUR_S, DAY_S = 3_600, 86_400


def step(name, party="request", state="done"):
    return {"step": name, "party": party, "state": state, "result": {}, "done_at": NOW if state == "done" else None}


def request(name="dsr-20270115-7EFRCS4B", **values):
    """As the control plane tells it."""
    steps = [step("verify"), step("revoke"), step("enforced", "edge/tokyo-1"), step("enforced", "edge/frankfurt-1")]
    steps += [step("collect"), step("register", state="open"), step("purge", state="open")]
    common = {
        "id": name, "kind": "deletion", "state": "in_progress", "partial": False, "trouble": "", "alarms": [],
        "held_by": "", "received_at": NOW - 5 * HOUR_S, "due_at": NOW + 26 * DAY_S, "binding": "law",
        "due_source": "GDPR Art. 12(3)", "closed_at": None, "verified_by": "session", "verifier": "", "amended": [],
        "steps": steps,
    }  # fmt: skip
    return {**common, **values}


EVERY = [
    request(),
    request(
        "dsr-20270114-AAAAAAAA", partial=True, received_at=NOW - 30 * HOUR_S, alarms=["24 h", "owed: erased of edge/x"]
    ),
    request("dsr-20270113-BBBBBBBB", kind="restriction", held_by=f"{ANN}: court order", trouble="request-held"),
    request("dsr-20270112-CCCCCCCC", state="waiting", verified_by="receipt", binding="ours"),
    request("dsr-20270111-DDDDDDDD", kind="access", state="fulfilled", closed_at=NOW - 2 * HOUR_S),
]


class ControlPlane:
    """What an operator's calls reach: says what is given, keeps what is asked."""

    spiffe_id = ANN

    def __init__(self, requests=(), refusal=None):
        self.requests, self.refusal, self.asked = list(requests), refusal, []

    def get(self, path):
        assert path == "/v1/dsar/requests"
        return {"requests": self.requests}

    def post(self, path, value=None):
        if self.refusal is not None:
            raise self.refusal
        self.asked.append((path, value))
        return {}


class Tab:
    """A browser at the portal's address."""

    def __init__(self, entrance):
        self.place, self.cookie = urlsplit(entrance), ""

    def ask(self, method, path, fields=None, **headers):
        connection = http.client.HTTPConnection(self.place.netloc, timeout=60)
        sent = {"cookie": self.cookie, **headers}
        connection.request(method, path, None if fields is None else urlencode(fields), sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        self.cookie = (answer.headers["set-cookie"] or self.cookie).partition(";")[0]
        return answer.status, text, answer.headers

    def enter(self):
        return self.ask("GET", f"{self.place.path}?{self.place.query}")

    def send(self, request, **fields):
        origin = fields.pop("origin", f"http://{self.place.netloc}")
        return self.ask("POST", f"/requests/{request}", fields, origin=origin)


@pytest.fixture
def plane():
    return ControlPlane(EVERY)


@pytest.fixture
def tab(plane):
    with serving(plane, ManualClock(NOW)) as running:
        yield Tab(running.entrance)


def test_the_link_works_once_and_then_the_cookie(tab):
    """Who finds the link later, in a history or a list of processes, sees nothing."""
    assert tab.ask("GET", "/")[0] == 403
    assert tab.enter()[0] == 303
    status, text, headers = tab.ask("GET", "/")
    late = Tab(tab.place.geturl())

    assert (status, EVERY[0]["id"] in text) == (200, True)
    assert headers["cache-control"] == "no-store"
    assert late.enter()[0] == 403
    assert late.ask("GET", "/")[0] == 403


@pytest.mark.parametrize("token", ["", "x", "é", "0" * 43])
def test_another_link_is_refused_and_spends_nothing(tab, token):
    """Guessing does not lock the operator out."""
    assert tab.ask("GET", f"/enter?{urlencode({'token': token})}")[0] == 403
    assert tab.enter()[0] == 303


@pytest.mark.parametrize("host", ["localhost", "evil.example", "127.0.0.1"])
def test_another_host_is_refused(tab, host):
    """A name that an attacker points at 127.0.0.1 carries that name."""
    tab.enter()

    assert tab.ask("GET", "/", host=host)[0] == 421


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:1"])
def test_a_form_of_another_page_is_refused(tab, plane, origin):
    """Even with the cookie."""
    tab.enter()

    assert tab.send(EVERY[0]["id"], do="cancel", note="x", origin=origin)[0] == 403
    assert plane.asked == []


def test_a_form_without_the_cookie_is_refused(tab, plane):
    """With any origin."""
    assert tab.send(EVERY[0]["id"], do="cancel", note="x")[0] == 403
    assert plane.asked == []


@pytest.mark.parametrize(
    ("do", "path", "value"),
    [
        ("hold", "hold", {"by": f"{ANN}: a letter"}),
        ("lift", "hold", {"lifted_by": f"{ANN}: a letter"}),
        ("cancel", "cancel", {"by": f"{ANN}: a letter"}),
        ("guardian", "verify", {"verified_by": "guardian", "verifier": f"{ANN}: a letter"}),
    ],
)
def test_a_form_is_done_by_name_and_note(tab, plane, do, path, value):
    """303, back to that request."""
    tab.enter()
    status, _, headers = tab.send(EVERY[0]["id"], do=do, note=" a letter ")

    assert (status, headers["location"]) == (303, f"/#{EVERY[0]['id']}")
    assert plane.asked == [(f"/v1/dsar/requests/{EVERY[0]['id']}/{path}", value)]


@pytest.mark.parametrize("fields", [{"do": "hold"}, {"do": "hold", "note": " "}, {"do": "erase", "note": "x"}, {}])
def test_nothing_is_done_without_a_note(tab, plane, fields):
    """Nor what no button says; the page says so."""
    tab.enter()
    status, text, _ = tab.send(EVERY[0]["id"], **fields)

    assert (status, "bad-request" in text) == (409, True)
    assert plane.asked == []


def test_a_form_that_is_too_long_is_refused(tab, plane):
    """Before it is read."""
    tab.enter()

    assert "body-too-large" in tab.send(EVERY[0]["id"], do="hold", note="x" * 5_000)[1]
    assert plane.asked == []


def test_what_the_control_plane_refuses_is_said(plane):
    """With its code, above the list."""
    plane.refusal = Rejected("request-final", "it is done", status=409)
    portal = Portal(plane, ManualClock(NOW))
    with pytest.raises(Rejected):
        portal.change("dsr-1", {"do": "cancel", "note": "x"})

    assert "request-final: it is done" in portal.show("request-final: it is done")


def test_what_rings_is_first_and_what_is_closed_is_last():
    """Then by what is due; each with its binding in the sentence."""
    text = page(EVERY, Seen(NOW, ANN))
    places = {one["id"]: text.index(f'id="{one["id"]}"') for one in EVERY}

    assert min(places, key=places.get) == "dsr-20270114-AAAAAAAA"
    assert max(places, key=places.get) == "dsr-20270111-DDDDDDDD"
    assert "open for more than 24 h" in text
    assert "owed: erased of edge/x" in text
    assert "5 of 7 steps done" in text
    assert "Due by law" in text
    assert "Due our promise" in text
    assert text.count("Guardian verified") == 1
    assert text.count("Lift the hold") == 1


def test_nothing_of_a_request_is_markup():
    """A note of an operator, or a party's name."""
    text = page([request(verifier="<script>x</script>", held_by="<b>")], Seen(NOW, ANN, "<i>"))

    assert "<script>" not in text
    assert "<b></b>" not in text
    assert "<i>" not in text.replace('<i style="width', "")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "under a minute"), (60, "1 min"), (108_000, "30 h"), (172_800, "2 days")]
)
def test_a_time_is_said_in_one_unit(seconds, said):
    """The largest that fits."""
    assert span(seconds) == said
