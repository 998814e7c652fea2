"""The audit trail of a POP: every request is in it, no person outside of it, and erasing a visitor reaches it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consent_core.audit.reader import AuditRecord, read_records
from consent_core.audit.verify import verify
from consent_core.audit.writer import AuditLimits, AuditWriter
from consent_core.clock import ManualClock
from consent_core.formats.revocation import EVERY_VERSION, subject_of
from consent_core.formats.token import CATEGORIES
from consent_core.trust.providers.keyring import LocalKeyring
from tests.runtime_host.pop.edge import Edge, ask, make_edge, visitor
from tests.runtime_host.pop.shop import Browser, make_pop

HERO = "/v1/slots/home-hero?section=camping&tags=tent"


class Audited:
    """A POP with a trail, and the keys that open it."""

    def __init__(self, directory: Path, catalogue) -> None:
        self.directory = directory / "audit" / "edge" / "tokyo-1"
        self.provider = LocalKeyring(directory / "keyring" / "wrapping.json")
        limits = AuditLimits(seal_every_s=None)
        self.audit = AuditWriter.open(self.directory, "edge/tokyo-1", self.provider, ManualClock(), limits)
        self.edge: Edge = make_edge(directory, catalogue, parts={"audit": self.audit})

    def records(self) -> list[AuditRecord]:
        return list(read_records(self.directory, self.provider))


@pytest.fixture
def audited(tmp_path, catalogue, run) -> Iterator[Audited]:
    """In sync, policy revision 1 in force."""
    made = Audited(tmp_path, catalogue)
    run(made.edge.sync())
    yield made
    run(made.edge.pop.stop())
    made.audit.close()


async def mixed(edge: Edge) -> int:
    """Granted, default, malformed, cross-site, unknown, mesh without a certificate; how many there were."""
    token = edge.token("contextual", sub=visitor(1))
    await edge.get(HERO, token)
    await edge.get("/v1/images/home-hero?w=120", token)
    await edge.get(HERO)
    await edge.get(HERO, "not-a-token")
    await edge.get("/v1/slots/nowhere", token)
    await edge.get("/v1/nothing/here")
    await edge.get("/healthz")
    await edge.send("POST", "/v1/consent", {"grant": []}, sec_fetch_site="cross-site")
    await ask(edge.pop.mesh_app, "POST", "/v1/purge", {}, b"{}")
    return 9


def test_every_request_is_in_the_trail(audited, run):
    """Also refused ones: as many records as requests, each with its route, status and reason."""
    count = run(mixed(audited.edge))
    report = verify(audited.directory, audited.provider, [audited.audit.head().text])
    told = [
        (record.fields["route"], record.fields["status"], record.fields.get("code")) for record in audited.records()
    ]

    assert (report.records, report.problem) == (count, None)
    assert told == [
        ("slots", 200, None),
        ("images", 200, None),
        ("slots", 200, "no-token"),
        ("slots", 200, "token-malformed"),
        ("slots", 404, "unknown-slot"),
        (None, 404, "route-unknown"),
        ("healthz", 200, None),
        ("consent", 403, "cross-site"),
        (None, 401, "no-certificate"),
    ]
    assert audited.records()[0].fields["category"] == "contextual"
    assert audited.records()[0].person["sub"] == visitor(1)


def test_no_file_names_the_visitor(audited, run):
    """Neither the id nor the log's name for them is in any file of the trail; an operator with the keys sees both."""
    run(mixed(audited.edge))
    needles = [visitor(1).encode(), subject_of(visitor(1)).encode(), bytes.fromhex(subject_of(visitor(1)))]

    for path in audited.directory.iterdir():
        assert not any(needle in path.read_bytes() for needle in needles), path.name
    assert [record.person["sub"] for record in audited.records() if record.person] == [visitor(1)] * 2


def test_a_purge_shreds_the_visitor(audited, run):
    """After the log's purge the visitor is unreadable, the others are not, and the trail is whole."""
    edge = audited.edge
    run(edge.get(HERO, edge.token("contextual", sub=visitor(1))))
    run(edge.get(HERO, edge.token("contextual", sub=visitor(2), jti="t-2")))
    edge.plane.log("purge", subject_of(visitor(1)), CATEGORIES, EVERY_VERSION)
    run(edge.sync())
    run(edge.get(HERO, edge.token("contextual", sub=visitor(1))))
    records = audited.records()

    assert [record.fields.get("event") or record.fields["route"] for record in records] == ["slots"] * 2 + [
        "shred",
        "slots",
    ]
    assert [record.shredded for record in records] == [True, False, False, True]
    assert records[1].person["sub"] == visitor(2)
    assert verify(audited.directory, audited.provider, [audited.audit.head().text]).problem is None


def test_the_head_is_reported(audited, run):
    """Each status report carries where the trail ends."""
    run(audited.edge.get(HERO))

    assert audited.edge.pop.sync._state().audit_head == audited.audit.head().text


def test_a_yes_is_recorded_with_what_it_rests_on(shop, run, tmp_path):
    """Choices, law, rule, policy and the digest of the words that were shown; a refused yes has none of them."""
    provider = LocalKeyring(tmp_path / "wrapping.json")
    audit = AuditWriter.open(tmp_path / "trail", "edge/tokyo-1", provider, shop.clock, AuditLimits(seal_every_s=None))
    pop = make_pop(shop.directory, shop.plane, shop.cable, shop.clock, audit=audit, pop="tokyo-2")
    run(pop.sync.fetch_policy())
    run(pop.sync.fetch_keys())
    run(pop.sync.poll())
    browser = Browser(pop)
    notice = run(browser.ask("GET", "/v1/consent/notice")).json()
    run(browser.grant("contextual", notice=notice["digest"]))
    run(browser.grant("everything"))
    yes, no = [record for record in read_records(audit.directory, provider) if record.fields["method"] == "POST"]
    audit.close()
    pop.store.close()

    told = {name: yes.fields[name] for name in ("choices", "jurisdiction", "policy", "notice")}
    assert told == {
        "choices": ["contextual"], "jurisdiction": "EU", "policy": shop.pop.sync.trust_state.policy.hash,
        "notice": notice["digest"],
    }  # fmt: skip
    assert yes.fields["rules"][0].startswith("behavioral ")
    assert len(yes.fields["rules"]) == 3
    assert (no.fields["code"], no.fields.get("choices")) == ("bad-request", None)


def test_what_cannot_be_recorded_is_not_answered(audited, run):
    """A trail that cannot be written: 503 for everybody, also for the default."""
    audited.audit._segments.abandon()
    reply = run(audited.edge.get(HERO))

    assert (reply.status, reply.code) == (503, "audit-unwritable")
    assert audited.audit.refused == 1
