"""A POP of several processes is one POP to visitors, control plane and trail, also after a kill."""

import http.client
import json
import re
import shutil
import signal
import subprocess
import threading
import time

import psutil
import pytest

from consent_core.formats.revocation import subject_of
from consent_core.formats.token import parse, read_claims
from fleet.ports import LOOPBACK
from tests.runtime_host.workers.crewed import BANNER, HERO, PAGE, Crewed, Line, held, kill, until

pytestmark = pytest.mark.slow
ALL = ("contextual", "behavioral", "experimental")


def sub_of(line: Line) -> str:
    return read_claims(parse(line.token()).claims).sub


def pairs(pop: Crewed) -> list[tuple[Line, Line]]:
    """A visitor with a connection to each process, the first of which changes; both ways round."""
    lead, worker = pop.processes
    made = []
    for here, there in ((lead, worker), (worker, lead)):
        one, other = pop.at(here), pop.at(there)
        other.jar = one.jar
        made.append((one, other))
    return made


def test_a_grant_at_one_worker_counts_at_the_other_at_once(pop: Crewed) -> None:
    """Its token and its session; the other process reads them from the disk."""
    for here, there in pairs(pop):
        here.grant("contextual")
        assert (there.shown(), here.shown()) == ("contextual", "contextual")
        assert there.ask("POST", "/v1/consent/refresh", {})[0] == 200
        assert there.get("/v1/consent")["choices"] == ["contextual"]


def test_a_no_said_at_one_worker_holds_at_the_other_from_the_next_request_on(pop: Crewed) -> None:
    """With the very token it had: the connection was open, the token in the other's memory."""
    for here, there in pairs(pop):
        for _ in range(20):
            here.grant("contextual")
            kept = dict(here.jar)
            assert (there.shown(), here.shown()) == ("contextual", "contextual")
            assert here.withdraw() in (200, 202)
            there.jar = kept
            assert there.ask("GET", HERO)[1]["consent-edge-code"] == "revoked"
            assert there.shown() == "default"
            there.jar = here.jar
            until(lambda: not pop.ready["outbox_pending"])  # else it counts after the next grant, and takes that back


def test_a_part_taken_back_at_one_worker_is_not_shown_as_chosen_at_the_other(pop: Crewed) -> None:
    """Each remembers what it was last told; a version it has not seen makes it ask."""
    for here, there in pairs(pop):
        here.grant("contextual", "behavioral")
        assert there.get("/v1/consent")["choices"] == ["contextual", "behavioral"]
        if here.withdraw("behavioral") == 202:  # the control plane took more than a second: then it hears of it soon
            until(lambda line=there: line.get("/v1/consent")["choices"] == ["contextual"])
        told = there.get("/v1/consent")
        assert (told["choices"], told["categories"]) == (["contextual"], ["contextual"])


def test_pages_at_every_worker_are_told(pop: Crewed) -> None:
    """A stream hears of a grant and of a "no" that came over another connection to another process."""
    for here, there in pairs(pop):
        here.grant("contextual")
        stream = http.client.HTTPConnection(LOOPBACK, pop.port, timeout=60)
        with held(*(p for p in pop.processes if p.pid != serving(pop, there))):
            stream.request("GET", "/v1/consent/stream", headers={"cookie": _cookies(there)})
            answer = stream.getresponse()
        here.grant("contextual", "behavioral")
        assert b"consent" in event(answer)
        here.withdraw()
        assert b"revoked" in event(answer)
        stream.close()


def test_a_revocation_by_the_control_plane_reaches_every_worker(pop: Crewed) -> None:
    """Within the bound, by push within a moment; and the history goes with it."""
    for here, there in pairs(pop):
        here.grant(*ALL)
        event_ = {"kind": "click", "slot": "member-banner", "item": "kayak", "tags": ["water"]}
        assert there.ask("POST", "/v1/events", {"events": [event_]})[0] == 202
        assert (here.shown(BANNER), there.shown(BANNER)) == ("behavioral", "behavioral")
        pop.operator().post("/v1/revocations", {"kind": "session", "sub": sub_of(here)})
        until(lambda line=here: line.shown(BANNER) == "default")
        assert there.shown(BANNER) == "default"
        kept = json.loads(there.ask("POST", "/v1/events", {"events": [event_]})[2])
        assert kept == {"kept": 0}


def test_every_request_is_recorded_once_in_one_of_the_trails(pop: Crewed) -> None:
    """N requests over both processes, refused ones too: N records more, all in order."""
    lines, before = [pop.at(process) for process in pop.processes], pop.recorded()
    paths = ("/healthz", HERO, "/v1/slots/nowhere", "/v1/images/home-hero?w=320", "/v1/nothing/here")
    for line in lines:
        for path in paths * 8:
            line.ask("GET", path)
    summary = pop.verified()

    assert summary["ok"], summary
    assert pop.recorded() == before + 80
    assert {"tokyo-1", "tokyo-1.w2"} <= {trail["directory"] for trail in summary["trails"]}


def test_metrics_are_those_of_the_whole_pop(pop: Crewed) -> None:
    """Sums over both processes; the parts of a dead one stay counted."""
    lines = [pop.at(process) for process in pop.processes]
    healthz = ("consent_edge_requests_total", 'route="healthz"', 'status="2xx"')
    before, restarts = pop.metric(*healthz), pop.metric("consent_edge_worker_restarts_total")
    for line, times in zip(lines, (3, 5), strict=True):
        for _ in range(times):
            line.get("/healthz")
    assert pop.metric(*healthz) == before + 8
    assert pop.metric("consent_edge_workers") == 2
    assert pop.metric("consent_edge_in_sync") == 1

    kill(pop.worker)
    pop.until_whole()
    assert pop.metric(*healthz) == before + 8
    assert pop.metric("consent_edge_worker_restarts_total") == restarts + 1


def test_a_killed_worker_is_started_again_and_loses_nothing(pop: Crewed) -> None:
    """kill -9 after answers: what it answered is on record, a "no" said there stays said, the other goes on."""
    lead, worker = pop.lead, pop.worker
    line, other = pop.at(worker), pop.at(lead)
    before = pop.recorded()
    line.grant(*ALL)
    kept = dict(line.jar)
    assert line.withdraw() in (200, 202)
    kill(worker)
    other.jar = kept
    assert other.shown() == "default"
    assert other.get("/healthz") == {"ok": True}
    pop.until_whole()
    assert pop.worker.pid != worker.pid

    again = pop.at(pop.worker)
    again.jar = kept
    assert again.shown() == "default"
    summary = pop.verified()
    assert summary["ok"], summary
    assert pop.recorded() >= before + 6


def test_a_frozen_worker_is_ended_and_started_again(pop: Crewed) -> None:
    """SIGSTOP: it answers no request, its connections hang, and the lead notices by its silence."""
    worker = pop.worker
    worker.suspend()
    until(lambda: not psutil.pid_exists(worker.pid), 120)
    pop.until_whole()

    assert pop.at(pop.worker).get("/healthz") == {"ok": True}


def test_a_worker_that_dies_before_it_can_tell_of_a_no_has_still_said_it(pop: Crewed) -> None:
    """Committed, not announced: its death is announced, so the other processes read again."""
    line, other = pop.at(pop.worker), pop.at(pop.lead)
    line.grant("contextual")
    other.jar = line.jar
    assert other.shown() == "contextual"
    subject, database = subject_of(sub_of(line)), pop.data / "pops" / pop.name / "pop.db"
    statement = f"INSERT INTO denials VALUES ('{subject}', 'contextual', 'local', 99, NULL)"
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    subprocess.run(["python3", "-c", script, str(database), statement], check=True)
    assert other.shown() == "contextual"  # nothing was announced
    kill(pop.worker)
    until(lambda: other.shown() == "default", 5)
    pop.until_whole()


def test_erasing_a_visitor_shreds_every_workers_trail(pop: Crewed) -> None:
    """Also the one of a worker that was not there when the purge came."""
    for down in (False, True):
        (here, there), _ = pairs(pop)
        here.grant("contextual")
        assert (here.shown(), there.shown()) == ("contextual", "contextual")
        sub = sub_of(here)
        named = [r for r in until(lambda s=sub: whole(pop, s)) if r.person and r.person.get("sub") == sub]
        assert {record.writer for record in named} == {"edge/tokyo-1", "edge/tokyo-1.w2"}
        if down:
            pop.worker.suspend()
            kill(pop.worker)
        pop.operator().post("/v1/revocations", {"kind": "purge", "sub": sub})
        until(lambda s=sub: not any(r.person and r.person.get("sub") == s for r in pop.records()))
        assert there.ask("GET", HERO)[1]["consent-edge-code"] == "revoked" if not down else True
        pop.until_whole()
        assert pop.verified()["ok"]


def test_no_request_fails_while_a_worker_is_started_again(pop: Crewed) -> None:
    """Under load: only the connections that the killed process held break; each is made anew and answered."""
    line = pop.at(pop.lead)
    line.grant("contextual")
    others = sum(held_by(pop, process) for process in pop.processes)
    wrk = subprocess.Popen(
        ["wrk", "-t1", "-c12", "-d6s", "--timeout", "60s", "-H", f"Cookie: {_cookies(line)}",
         f"http://{LOOPBACK}:{pop.port}{HERO}"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: sum(held_by(pop, process) for process in pop.processes) >= others + 12)
    worker = pop.worker
    owned = held_by(pop, worker)
    kill(worker)
    said, _ = wrk.communicate(timeout=300)
    pop.until_whole()
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    connect, read, write, timeout = map(int, errors.groups()) if errors else (0, 0, 0, 0)

    assert (connect, timeout) == (0, 0), said
    assert read + write <= owned, said
    assert "Non-2xx" not in said
    assert pop.verified()["ok"]


def test_workers_end_with_their_lead(restarted: Crewed) -> None:
    """kill -9 of the lead: no worker goes on without it; the next run waits for the last of the earlier one."""
    pop = restarted
    worker = pop.worker
    line = pop.at(worker)
    pop.fleet.pops[pop.name].kill()
    until(lambda: not psutil.pid_exists(worker.pid))
    with pytest.raises((http.client.HTTPException, OSError)):
        line.get("/healthz")

    member = pop.fleet.pops[pop.name]
    member.start()
    member.wait_ready()
    assert pop.ready["workers"] == {"wanted": 2, "serving": 2, "restarts": 0}
    assert pop.verified()["ok"]


def test_a_new_lead_waits_for_the_workers_of_the_one_before(restarted: Crewed) -> None:
    """One that hangs still holds the POP: two runs at once would not see each other's "no"."""
    pop, worker = restarted, restarted.worker
    worker.suspend()
    member = pop.fleet.pops[pop.name]
    member.kill()
    member.start()
    time.sleep(3)
    assert member.process is not None
    assert member.process.poll() is None
    assert not psutil.Process(member.process.pid).children()
    worker.resume()
    member.wait_ready()
    assert pop.worker.pid != worker.pid


def test_begun_answers_are_finished_before_a_pop_stops(restarted: Crewed) -> None:
    """SIGTERM to the lead: both processes answer what they have begun to read, and are gone soon after."""
    pop, processes = restarted, restarted.processes
    lines = [pop.at(process) for process in processes]
    for line in lines:
        connection = line._connection
        connection.putrequest("POST", "/v1/vitals")
        for name, value in {**PAGE, "content-length": "13", "expect": "100-continue"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.sock.recv(100).startswith(b"HTTP/1.1 100 ")  # it waits for the body
    pop.lead.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    for line in lines:
        line._connection.send(b'{"vitals":[]}')
        assert line._connection.getresponse().status in (204, 400)
    for process in processes:
        until(lambda p=process: not psutil.pid_exists(p.pid) or p.status() == psutil.STATUS_ZOMBIE)


def test_a_trail_of_fewer_workers_is_still_shredded_and_reported(restarted: Crewed) -> None:
    """The POP comes back as one process: the trail its second worker left is still the POP's to see to."""
    pop = restarted
    line = pop.at(pop.worker)
    line.grant("contextual")
    sub, member = sub_of(line), pop.fleet.pops[pop.name]
    member.stop()
    member.arguments[member.arguments.index("--workers") + 1] = "1"
    member.start()
    member.wait_ready()
    assert "workers" not in pop.ready
    assert any(r.person and r.person.get("sub") == sub for r in pop.records("osaka-1.w2"))
    pop.operator().post("/v1/revocations", {"kind": "purge", "sub": sub})
    until(lambda: not any(r.person and r.person.get("sub") == sub for r in pop.records("osaka-1.w2")))
    assert pop.verified()["ok"]


def test_a_truncated_tail_of_a_workers_trail_is_seen(restarted: Crewed) -> None:
    """What it reported through its lead is held against it: cut, and gone as a whole."""
    pop = restarted
    line = pop.at(pop.worker)
    for _ in range(5):
        line.get("/healthz")
    trail, copy = pop.data / "audit" / "edge" / "osaka-1.w2", pop.data / "copy"
    until(lambda: seq_reported(pop, "osaka-1.w2") >= sealed(pop))
    pop.fleet.pops[pop.name].stop()
    assert pop.verified()["ok"]

    shutil.copytree(trail, copy)
    (log,) = trail.glob("*.log")
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    assert problem(pop, "osaka-1.w2") in ("audit-truncated", "audit-forked")
    shutil.rmtree(trail)
    assert problem(pop, "osaka-1.w2") in ("audit-truncated", "audit-forked")
    copy.rename(trail)


def problem(pop: Crewed, trail: str) -> str:
    """What `edge audit verify` says of one trail."""
    (found,) = [one for one in pop.verified()["trails"] if one["directory"] == trail]
    return str(found["problem"]["code"])


def seq_reported(pop: Crewed, trail: str) -> int:
    """The highest record of a trail that the control plane has on record."""
    told = [
        head.partition("=")[2].partition(":")[0]
        for record in pop.records("control-plane")
        for head in record.fields.get("worker_heads", ())
        if head.startswith(f"{trail}=")
    ]
    return max(map(int, told), default=0)


def sealed(pop: Crewed) -> int:
    (found,) = [trail for trail in pop.verified()["trails"] if trail["directory"] == "osaka-1.w2"]
    return int(found["head"].partition(":")[0])


def whole(pop: Crewed, sub: str) -> list:
    """All records once both trails name the visitor."""
    records = pop.records()
    writers = {record.writer for record in records if record.person and record.person.get("sub") == sub}
    return records if len(writers) == 2 else []


def held_by(pop: Crewed, process: psutil.Process) -> int:
    """How many connections of visitors a process has."""
    return sum(c.status == "ESTABLISHED" and c.laddr.port == pop.port for c in process.net_connections())


def serving(pop: Crewed, line: Line) -> int:
    """Which process holds a connection."""
    mine = line._connection.sock.getsockname()[1]
    for process in pop.processes:
        if any(c.raddr and c.raddr.port == mine for c in process.net_connections()):
            return process.pid
    raise AssertionError("nobody")


def event(answer: http.client.HTTPResponse) -> bytes:
    """The data of the next event of a stream."""
    deadline = threading.Timer(60, answer.close)
    deadline.start()
    try:
        while not (line := answer.readline()).startswith(b"data:"):
            assert line, "the stream ended"
        return line
    finally:
        deadline.cancel()


def _cookies(line: Line) -> str:
    return "; ".join(f"{name}={value}" for name, value in line.jar.items())
