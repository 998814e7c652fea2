"""Any order of yeses, noes, refreshes, rotations, old cookies and operators, against a model of ten lines."""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from consent_core.clock import ManualClock
from consent_core.errors import Rejected
from consent_core.formats.consent import ConsentAnswer, RefreshRequest
from consent_core.formats.revocation import subject_of
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.token import CATEGORIES, Claims
from control_plane.app import create_app
from control_plane.settings import Settings
from tests.control_plane.conftest import POP, Browser, claims, poll

choices = st.sets(st.sampled_from(CATEGORIES)).map(lambda chosen: tuple(c for c in CATEGORIES if c in chosen))
some = choices.filter(bool)


@dataclass
class Model:
    """What must be true of one visitor whose clicks have no numbers. In the EU: what is chosen is effective."""

    held: frozenset[str] = frozenset()
    ver: int = 0
    lost: dict[str, int] = field(default_factory=dict)  # category -> tokens below this version must not have it

    def yes(self, named: frozenset[str]) -> None:
        """Adds; a yes to nothing changes nothing but makes a record."""
        self.ver += bool(named) or not self.ver
        self.held |= named

    def no(self, named: frozenset[str]) -> None:
        """Takes away; every older token has lost what was named, also if nobody had given it."""
        self.ver += 1
        self.lost.update(dict.fromkeys(named, self.ver))
        self.held -= named


class ConsentMachine(RuleBasedStateMachine):
    """One visitor, every cookie they ever had, and every token ever issued."""

    template: Path

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        shutil.copytree(self.template, self.directory / "data")
        self.clock = ManualClock()
        self.plane = create_app(Settings(data=self.directory / "data", clock=self.clock))
        self.browser = Browser(self.plane)
        self.model = Model()
        self.cookies: list[str] = []
        self.tokens: list[Claims] = []
        self.sub = ""
        self.settled = True  # whether the newest cookie was presented

    def teardown(self) -> None:
        if hasattr(self, "plane"):
            self.plane.close()
            shutil.rmtree(self.directory)

    def note(self, answer: ConsentAnswer) -> None:
        """What every answer must say, whatever led to it."""
        assert (answer.ver, frozenset(answer.choices)) == (self.model.ver, self.model.held)
        assert frozenset(answer.categories) == self.model.held
        if answer.token is not None:
            token = claims(self.plane, answer)
            assert (token.sub, token.ver, frozenset(token.scopes)) == (answer.sub, self.model.ver, self.model.held)
            self.tokens.append(token)

    @rule(chosen=choices)
    def grant(self, chosen: tuple[str, ...]) -> None:
        self.settled = not self.cookies
        answer = self.browser.grant(*chosen)
        self.model.yes(frozenset(chosen))
        assert not self.cookies or answer.sub == self.sub
        self.sub = answer.sub
        self.cookies.append(str(self.browser.secret))
        self.note(answer)

    @precondition(lambda self: self.cookies)
    @rule()
    def refresh(self) -> None:
        self.note(self.browser.refresh(self.sub))
        self.settled = True

    @precondition(lambda self: self.cookies)
    @rule(taken=some, data=st.data(), times=st.integers(1, 3))
    def withdraw_with_any_cookie_of_theirs(self, taken: tuple[str, ...], data: st.DataObject, times: int) -> None:
        browser = Browser(self.plane)
        browser.secret = data.draw(st.sampled_from(self.cookies))
        row = browser.row(*taken)
        answers = [self.plane.consents.withdraw(None, row) for _ in range(times)]
        self.model.no(frozenset(taken))
        for answer in answers:
            self.note(answer)

    @precondition(lambda self: len(self.cookies) > 1 and self.settled)
    @rule(data=st.data())
    def an_old_cookie_changes_nothing_once_a_later_one_was_presented(self, data: st.DataObject) -> None:
        thief = Browser(self.plane)
        thief.secret = data.draw(st.sampled_from(self.cookies[:-1]))
        for act in (thief.refresh, lambda: thief.grant(*CATEGORIES), thief.notice):
            with pytest.raises(Rejected) as caught:
                act()
            assert caught.value.code == "session-rotated"

    @precondition(lambda self: self.cookies)
    @rule()
    def a_stranger_with_their_sub_gets_nothing(self) -> None:
        stranger = Browser(self.plane)
        stranger.grant(*CATEGORIES)
        with pytest.raises(Rejected) as caught:
            self.plane.consents.refresh(self.sub, RefreshRequest(str(stranger.session), "EU", False, POP))
        assert caught.value.code == "session-foreign"

    @rule()
    def rotate_the_token_key(self) -> None:
        self.plane.keys.rotate("token", overlap_s=600)

    @rule(seconds=st.integers(1, 400))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.cookies)
    @rule(taken=some)
    def an_operator_revokes(self, taken: tuple[str, ...]) -> None:
        entry = self.plane.revoking.revoke(RevocationRequest("session", subject_of(self.sub), taken))
        if entry.ver != self.model.ver:
            self.model.no(frozenset(taken))
        assert set(taken) <= set(entry.categories)

    @precondition(lambda self: self.cookies)
    @rule()
    def an_operator_purges(self) -> None:
        self.plane.revoking.revoke(RevocationRequest("purge", subject_of(self.sub)))
        self.model, self.cookies, self.tokens = Model(), [], []

    @invariant()
    def every_token_has_lost_what_was_taken_back(self) -> None:
        """As a POP reads the log: scopes minus the entries above the token's version."""
        if not hasattr(self, "plane") or not self.sub:
            return
        entries = [entry for entry in poll(self.plane).entries if entry.subject == subject_of(self.sub)]
        for token in self.tokens:
            denied = {c for entry in entries if token.ver < entry.ver for c in entry.categories}
            lost = {category for category, ver in self.model.lost.items() if token.ver < ver}
            assert set(token.scopes) - denied == set(token.scopes) - lost
            assert set(token.scopes) - denied <= self.model.held


def test_consent_follows_the_model_in_any_order(template):
    """The state machine, over SQLite."""
    machine = type("Machine", (ConsentMachine,), {"template": template})
    run_state_machine_as_test(
        machine, settings=hypothesis_settings(max_examples=30, stateful_step_count=30, deadline=None)
    )
