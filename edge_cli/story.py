"""The whole story on a running local system, timed: a yes, a picture, a no, a deletion, and a file that shows it.

    told = tell(fleet, "ann", out, on_step)      # the last step verifies the file as a stranger would, offline

Everything goes over HTTP as for anybody: the person's browser speaks to one POP, no step looks into a store.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import stamina

from consent_core.clock import SystemClock
from consent_core.errors import Unavailable
from consent_core.evidence.opening import Circumstances
from consent_core.evidence.page import page
from consent_core.evidence.verdict import Verdict, judge
from consent_core.trust.sealing import unseal
from edge_cli.operator import Operator
from fleet.processes import Fleet

SLOT = "/v1/slots/home-hero?section=water"
SAME_SITE = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
PATIENCE_S = 300.0  # for one step; the promise is that much for all of them
LOOK_S = 0.2
FILES = {"pack": "pack.json", "closing": "closing.jwt"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step and how long it took."""

    name: str
    seconds: float
    said: str


@dataclass(frozen=True, slots=True)
class Told:
    """The story as it went. `verdict`: of the file, with the person's receipt and the closing statement.

    person: every cookie that the browser was given, value -> name: none of these is found here after the deletion.
    """

    steps: tuple[Step, ...]
    verdict: Verdict
    pack: Path
    person: Mapping[str, str]

    @property
    def total_s(self) -> float:
        """All steps together."""
        return sum(step.seconds for step in self.steps)

    def value(self) -> dict[str, Any]:
        """As `--json` prints it."""
        steps = [{"step": one.name, "seconds": round(one.seconds, 2), "said": one.said} for one in self.steps]
        answered = {"answered": self.verdict.answered, "pack": str(self.pack), "sha256": self.verdict.digest}
        return {"steps": steps, "total_s": round(self.total_s, 2), **answered}


class _NotYet(Exception):
    pass


@dataclass
class Person:
    """A browser at one POP, keeping cookies also over plain HTTP on loopback."""

    client: httpx.Client
    jar: dict[str, str] = field(default_factory=dict)
    was_given: dict[str, str] = field(default_factory=dict)  # every cookie's value -> its name

    def ask(self, method: str, path: str, value: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """One request. Raises: Unavailable for a refusal."""
        cookies = "; ".join(f"{name}={text}" for name, text in self.jar.items())
        sent = {**SAME_SITE, **({"cookie": cookies} if cookies else {}), **headers}
        content = None if value is None else json.dumps(value)
        answer = self.client.request(method, path, content=content, headers=sent)
        if not answer.is_success:
            raise Unavailable("story-refused", f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        for line in answer.headers.get_list("set-cookie"):
            name, _, text = line.partition(";")[0].partition("=")
            self.jar[name] = text
            self.was_given[text] = name
        return answer


class _Story:
    """The steps; each leaves what the next one needs."""

    def __init__(self, fleet: Fleet, operator: Operator, out: Path) -> None:
        self._fleet = fleet
        self._operator = operator
        self._out = out
        self._pops = tuple(fleet.pops)
        self._clients = {pop: httpx.Client(base_url=fleet.url(pop), trust_env=False, timeout=30) for pop in self._pops}
        self.person = Person(self._clients[self._pops[0]])
        self._request: dict[str, Any] = {}
        self._receipt = ""
        self.verdict: Verdict | None = None

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def listed(self) -> str:
        """Every POP attests: what happened before that, no list could show."""
        self._until(lambda: len(self._attesting()) == len(self._pops))
        return f"{len(self._pops)} POPs and the control plane attest"

    def granted(self) -> str:
        """A yes."""
        answer = self.person.ask("POST", "/v1/consent", {"grant": ["contextual", "behavioral"]}).json()
        self._receipt = answer["receipt"]
        return f"version {answer['ver']}: {', '.join(answer['choices'])}"

    def personalised(self) -> str:
        """A picture that was chosen for them."""
        shown = self._until(lambda: self._shown(self.person) != "default" and self._shown(self.person))
        return f"{SLOT} is {shown}"

    def attested(self) -> str:
        """Every place attests a time after the yes, and before the no that follows."""
        now = SystemClock().now()
        self._until(lambda: all(place["at"] is not None and place["at"] > now for place in self._attesting()))
        return "every place reported"

    def revoked(self) -> str:
        """A no."""
        answer = self.person.ask("DELETE", "/v1/consent", {}).json()
        self._receipt = answer["receipt"] or self._receipt
        return f"version {answer['ver']}"

    def enforced(self) -> str:
        """The default at every POP, and each reported that the no is in force there."""
        seq = self._operator.get("/v1/pops")["head"]
        jar = dict(self.person.jar)
        visitors = [Person(client, dict(jar)) for client in self._clients.values()]
        self._until(lambda: all(self._shown(visitor) == "default" for visitor in visitors))
        self._until(lambda: all((place["position"] or 0) >= seq for place in self._attesting()))
        return f"entry {seq} at {', '.join(self._pops)}"

    def asked(self) -> str:
        """A deletion, by the session; the secret is shown once."""
        self._request = self.person.ask("POST", "/v1/consent/requests", {"kind": "deletion"}).json()
        return f"{self._request['id']}, due by {self._request['binding']}"

    def closed(self) -> str:
        """Every place counted 0, the file is made, its proofs are gone."""
        done = self._until(lambda: (told := self._status())["state"] == "fulfilled" and told)
        return f"{len(done['steps'])} steps by {len({row['party'] for row in done['steps']})} parties"

    def verified(self) -> str:
        """As a stranger would: the file, the receipt, the closing statement and the trust file."""
        secret = self._request["request_secret"]
        path = f"/v1/consent/requests/{self._request['id']}/answers"
        sealed = Person(self.person.client).ask("GET", path, **{"request-secret": secret}).json()
        opened = {what: unseal(secret, base64.b64decode(text), what) for what, text in sealed.items()}
        self._out.mkdir(parents=True, exist_ok=True)
        for what, name in FILES.items():
            (self._out / name).write_bytes(opened[what])
        (self._out / "receipt.jwt").write_text(self._receipt)
        trust = (self._fleet.data / "trust.json").read_bytes()
        (self._out / "trust.json").write_bytes(trust)
        brought = Circumstances(SystemClock().now(), self._receipt, opened["closing"].decode())
        self.verdict = judge(opened["pack"], trust, brought)
        (self._out / "pack.html").write_text(page(self.verdict), encoding="utf-8")
        held = sum(result.verdict == "holds" for result in self.verdict.results)
        return f"{held} of {len(self.verdict.results)} checks hold; {self.verdict.digest}"

    def _attesting(self) -> list[dict[str, Any]]:
        places = self._operator.get("/v1/attesters")["places"]
        return [place for place in places if place["place"].startswith("edge/")]

    def _status(self) -> dict[str, Any]:
        headers = {"request-secret": self._request["request_secret"]}
        found: dict[str, Any] = (
            Person(self.person.client).ask("GET", f"/v1/consent/requests/{self._request['id']}", **headers).json()
        )
        return found

    @staticmethod
    def _shown(person: Person) -> str:
        return str(person.ask("GET", SLOT).json()["category"] or "default")

    @staticmethod
    def _until(condition: Callable[[], Any]) -> Any:
        """What it says once it says something. Raises: Unavailable("story-stuck")."""

        @stamina.retry(on=_NotYet, timeout=PATIENCE_S, attempts=None, wait_initial=LOOK_S, wait_max=LOOK_S)
        def look() -> Any:
            said = condition()
            if not said:
                raise _NotYet
            return said

        try:
            return look()
        except _NotYet:
            raise Unavailable("story-stuck", f"a step did not end within {PATIENCE_S:.0f} s") from None


STEPS = ("listed", "granted", "personalised", "attested", "revoked", "enforced", "asked", "closed", "verified")


def tell(fleet: Fleet, name: str, out: Path, on_step: Callable[[str], None] = lambda _: None) -> Told:
    """Play it on a fleet that runs. Raises: Unavailable("story-stuck" | "story-refused")."""
    story = _Story(fleet, Operator(fleet.data, name, fleet.mesh_url), out)
    steps = []
    try:
        for step in STEPS:
            on_step(step)
            begin = time.monotonic()
            said = getattr(story, step)()
            steps.append(Step(step, time.monotonic() - begin, said))
    finally:
        story.close()
    assert story.verdict is not None, "the last step makes it"
    return Told(tuple(steps), story.verdict, out / FILES["pack"], story.person.was_given)
