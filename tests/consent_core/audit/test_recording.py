"""One record per request, written before the answer leaves."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from consent_core.audit.reader import AuditRecord, read_records
from consent_core.audit.recording import (
    AuditContext,
    AuditMiddleware,
    AuditRecorder,
    current_context,
)
from consent_core.http.asgi import (
    App,
    Receive,
    Scope,
    Send,
)
from consent_core.trust.providers.keyring import LocalKeyring
from consent_core.trust.spiffe import SpiffeId

from .conftest import SUB, SUBJECT, Open


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers 200 for a visitor, refuses `/no`, breaks at `/broken`, gives up at `/gone`."""
    path = scope["path"]
    if path == "/broken":
        raise RuntimeError("a defect")
    if path == "/gone":
        return
    context = current_context()
    context.route = path.removeprefix("/")
    context.about(SUBJECT, (("sub", SUB),))
    scope.setdefault("state", {})["peer"] = SpiffeId.of("ui-tools", "edge", "tokyo-1")
    status, headers = (403, [(b"consent-edge-code", b"cross-site")]) if path == "/no" else (200, [])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"personal"})


def ask(app: App, *paths: str) -> list[httpx.Response]:
    """One request per path."""

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://pop") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(run())


async def _give_up(app: App) -> None:
    """A client that is gone before there is an answer."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        raise AssertionError("nobody is there")

    await app({"type": "http", "method": "GET", "path": "/gone"}, receive, send)


def records(directory: Path, provider: LocalKeyring) -> list[AuditRecord]:
    return list(read_records(directory, provider))


def test_a_request_that_is_cut_off_says_so(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """The process ends while it works: 503 with a code, in the answer and in the record."""

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.get_running_loop().create_future()

    async def cut_off(send: Send) -> None:
        app = AuditMiddleware(never, AuditRecorder(opened(), "mesh"))
        working = asyncio.create_task(app({"type": "http", "method": "GET", "path": "/slot"}, _nothing, send))
        await asyncio.sleep(0)
        working.cancel()
        await working

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(cut_off(send))
    (record,) = records(directory, provider)

    assert (sent[0]["status"], record.fields["status"], record.fields["code"]) == (503, 503, "stopping")


async def _nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def test_every_request_has_one_record(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """Answered, refused, failed and given up: four requests, four records, each saying how it ended."""
    app = AuditMiddleware(application, AuditRecorder(opened(), "public"))
    ask(app, "/slot", "/no", "/broken")
    asyncio.run(_give_up(app))
    found = records(directory, provider)

    assert [record.fields["status"] for record in found] == [200, 403, 500, 499]
    assert [record.fields.get("code") for record in found] == [None, "cross-site", "internal", "client-gone"]
    assert found[0].person == {"sub": SUB}
    assert found[0].fields == {
        "listener": "public",
        "method": "GET",
        "route": "slot",
        "status": 200,
        "peer": "spiffe://ui-tools/edge/tokyo-1",
    }


def test_what_is_known_last_is_recorded(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """`complete` runs when the answer leaves."""

    def complete(context: AuditContext, scope: Scope) -> None:
        context.say(asked=scope["path"])

    ask(AuditMiddleware(application, AuditRecorder(opened(), "public", complete)), "/slot")

    assert records(directory, provider)[0].fields["asked"] == "/slot"


def test_an_answer_that_cannot_be_recorded_is_not_given(opened: Open) -> None:
    """503 with the code, and nothing of the answer."""
    audit = opened()
    audit._segments.abandon()
    (answer,) = ask(AuditMiddleware(application, AuditRecorder(audit, "public")), "/slot")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "audit-unwritable")
    assert b"personal" not in answer.content
    assert audit.refused == 1


def test_notes_of_concurrent_requests_do_not_mix(opened: Open, directory: Path, provider: LocalKeyring) -> None:
    """Each request has its own context, however they interleave."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        current_context().route = scope["path"]
        await asyncio.sleep(0)
        assert current_context().route == scope["path"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run(app: App) -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pop") as client:
            await asyncio.gather(*(client.get(f"/{number}") for number in range(20)))

    asyncio.run(run(AuditMiddleware(slow, AuditRecorder(opened(), "public"))))

    assert sorted(record.fields["route"] for record in records(directory, provider)) == sorted(
        f"/{number}" for number in range(20)
    )


def test_outside_of_a_request_notes_go_nowhere() -> None:
    """A handler called directly, as tests do, finds a context that no recorder reads."""
    current_context().route = "x"

    assert current_context().route is None
