"""Whose session this is: rotation, lost answers, copies, planted and stolen cookies, secrets of version 0.1.0."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from consent_core.errors import ConsentEdgeError
from consent_core.formats.consent import RefreshRequest
from consent_core.formats.session import credentials_of, stored
from consent_core.formats.token import CATEGORIES
from control_plane.maintenance import UNCLAIMED_S
from control_plane.store.schema import sessions
from tests.control_plane.conftest import POP, Browser, new_secret


def test_a_session_works_until_a_successor_was_presented(browser, refused):
    """Fixation: once the browser has shown the new secret, who planted or saw the old one can do nothing with it."""
    visitor = browser()
    visitor.grant("contextual")
    thief = browser()
    thief.secret = visitor.secret
    visitor.grant(*CATEGORIES)
    assert thief.refresh().sub == visitor.sub  # nobody knows yet whether the answer arrived
    visitor.refresh()

    for act in (thief.refresh, lambda: thief.grant(*CATEGORIES), thief.notice):
        refused("session-rotated", 409, act)
    refused("session-rotated", 409, thief.plane.consents.look, None, thief.session)
    assert visitor.refresh().categories == CATEGORIES


def test_a_lost_answer_locks_nobody_out(browser):
    """The browser never got the rotated cookie: the old one goes on granting, for the same person, at once."""
    visitor = browser()
    visitor.grant("contextual")
    old = visitor.secret
    lost = visitor.grant("behavioral")
    visitor.secret = old
    answer = visitor.grant("experimental")

    assert (answer.sub, answer.choices) == (lost.sub, CATEGORIES)
    assert visitor.refresh().categories == CATEGORIES


def test_looking_and_granting_present_a_session_too(browser, refused):
    """Whichever call shows the new secret first retires the old ones."""
    for present in (lambda b: b.plane.consents.look(None, b.session), lambda b: b.grant("experimental")):
        visitor, old = browser(), browser()
        visitor.grant("contextual")
        old.secret = visitor.secret
        visitor.grant("behavioral")
        present(visitor)
        refused("session-rotated", 409, old.refresh)


def test_of_two_answers_to_one_yes_the_one_that_is_shown_lives(plane, browser, refused):
    """A copy gets a further session of the same predecessor; presenting one retires its sibling."""
    visitor = browser()
    visitor.grant("contextual")
    one, two = new_secret(), new_secret()
    request = visitor.request("behavioral", secret=one)
    copy = visitor.request("behavioral", secret=two, key=request.key)
    answers = [plane.consents.grant(request), plane.consents.grant(copy)]
    visitor.secret = two
    visitor.refresh()
    visitor.secret = one

    assert [answer.ver for answer in answers] == [2, 2]
    assert answers[0].receipt == answers[1].receipt
    refused("session-rotated", 409, visitor.refresh)


def test_the_very_same_request_again_is_answered_again(plane, browser):
    """A POP that lost the control plane's answer sends the same bytes: the same version, once."""
    visitor = browser()
    request = visitor.request("contextual")
    answers = [plane.consents.grant(request) for _ in range(3)]

    assert {answer.sub for answer in answers} == {answers[0].sub}
    assert [answer.ver for answer in answers] == [1, 1, 1]


def test_the_key_of_a_first_yes_finds_its_visitor_until_the_session_is_shown(plane, browser):
    """The answer was lost and no cookie came: the click's own key is all the browser has. Then it opens nothing."""
    visitor = browser()
    first = visitor.request("contextual")
    secret = new_secret()
    lost = plane.consents.grant(first)
    again = plane.consents.grant(visitor.request("contextual", secret=secret, key=first.key))
    visitor.secret = secret
    visitor.refresh()
    thief = browser()
    stolen = plane.consents.grant(thief.request("contextual", key=first.key))

    assert (again.sub, again.ver) == (lost.sub, 1)
    assert stolen.sub != lost.sub


def test_a_key_of_somebody_else_is_no_copy(plane, browser):
    """One key, two visitors, as a cookie that outlived an identity brings it: it counts for each."""
    one, other = browser(), browser()
    for visitor in (one, other):
        visitor.grant("contextual")
        visitor.refresh()
        assert visitor.grant("behavioral", key="k" * 22).ver == 2
        assert visitor.withdraw("behavioral", key="k" * 22).choices == ("contextual",)


def test_two_copies_of_a_first_yes_at_the_same_moment_are_one_visitor(either_plane):
    """On both stores: the second waits for the first and finds it."""
    visitor = Browser(either_plane)
    requests = [visitor.request("contextual", key="k" * 22) for _ in range(6)]
    subs = at_once([lambda request=request: either_plane.consents.grant(request).sub for request in requests])

    assert len(set(subs)) == 1


def test_yeses_and_noes_at_the_same_moment_each_count(either_plane):
    """Row locks: of changes to different categories of one record none is lost."""
    visitor = Browser(either_plane)
    visitor.grant("experimental")
    yes = [visitor.request(category) for category in ("contextual", "behavioral")]
    no = visitor.row("experimental")
    acts = [lambda request=request: either_plane.consents.grant(request).ver for request in yes]
    at_once([*acts, lambda: either_plane.consents.withdraw(None, no).ver])

    assert visitor.refresh().choices == ("contextual", "behavioral")


def at_once(acts):
    outcomes, start = [], threading.Barrier(len(acts))

    def run(act):
        start.wait()
        try:
            outcomes.append(act())
        except ConsentEdgeError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_a_retired_session_may_still_say_no_but_gets_nothing_for_it(browser):
    """Two tabs: the old one's withdrawal counts, and its answer carries no token."""
    visitor, old = browser(), browser()
    visitor.grant(*CATEGORIES)
    old.secret = visitor.secret
    visitor.grant("contextual")
    visitor.refresh()
    answer = old.withdraw("behavioral")

    assert (answer.choices, answer.token) == (("contextual", "experimental"), None)
    assert visitor.refresh().categories == ("contextual", "experimental")


def test_what_a_store_holds_opens_nothing(plane, browser, refused):
    """Hashes read from a disk, and the credential that only withdraws, presented as the one that grants."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    made = credentials_of(visitor.secret.encode())
    for wrong in (made.withdraw, stored(made.grant)[:43], stored(made.withdraw)[:43]):
        refused("session-unknown", 404, plane.consents.refresh, None, RefreshRequest(wrong, "EU", False, POP))
        refused("session-unknown", 404, plane.consents.look, None, wrong)
    other = Browser(plane)
    row = replace(visitor.row(), withdraw=made.grant)
    refused("session-unknown", 404, plane.consents.withdraw, None, row)
    assert plane.consents.grant(replace(other.request("contextual"), session=made.withdraw)).sub != visitor.sub
    assert visitor.refresh().categories == CATEGORIES


def test_a_session_that_was_never_issued_begins_a_new_identity(browser):
    """Cookie tossing with an invented secret wins nobody's record."""
    visitor = browser()
    visitor.secret = new_secret()

    assert visitor.grant("contextual").ver == 1
    assert visitor.sub != browser().grant("contextual").sub


def test_a_next_session_is_used_once(plane, browser, refused):
    """Another yes under a session that exists is nobody's copy."""
    visitor, other = browser(), browser()
    visitor.grant("contextual")
    taken = stored(visitor.session)

    refused("session-reused", 409, plane.consents.grant, visitor.request("behavioral", next_session=taken))
    refused("session-reused", 409, plane.consents.grant, other.request("behavioral", next_session=taken))


def test_somebody_elses_sub_is_refused(browser, refused):
    """The secret decides whose consent it is, never the `sub` in the path."""
    visitor, other = browser(), browser()
    visitor.grant(*CATEGORIES)
    other.grant(*CATEGORIES)

    refused("session-foreign", 403, visitor.refresh, sub=other.sub)
    refused("session-foreign", 403, visitor.withdraw, sub=other.sub)
    refused("session-foreign", 403, visitor.plane.consents.look, other.sub, visitor.session)
    assert other.refresh(sub=other.sub).ver == 1


def test_a_deleted_session_begins_a_new_identity_and_cannot_be_refreshed(plane, browser, refused):
    """After the retention of the record nothing leads back to it."""
    visitor = browser()
    before = visitor.grant(*CATEGORIES)
    plane.settings.clock.advance(plane.settings.consent_retention_s)

    refused("session-unknown", 404, visitor.refresh)
    refused("session-unknown", 404, visitor.withdraw)
    assert plane.sweep().visitors == 1
    after = visitor.grant("contextual")
    assert (after.ver, after.sub == before.sub) == (1, False)


def test_records_are_kept_until_the_last_second_of_their_retention(plane, browser):
    """One second before, everything is there; a new yes begins it anew, a refresh does not."""
    visitor = browser()
    visitor.grant("contextual")
    visitor.refresh()
    plane.settings.clock.advance(plane.settings.consent_retention_s - 1)

    assert plane.sweep().visitors == 0
    assert visitor.refresh().categories == ("contextual",)
    visitor.grant("behavioral")
    plane.settings.clock.advance(1)
    assert plane.sweep().visitors == 0


def test_a_record_that_nobody_claims_goes_after_a_day(plane, browser):
    """The answer to a first yes was lost on a page that is closed: the record belongs to nobody."""
    lost, claimed = browser(), browser()
    lost.grant("contextual")
    claimed.grant("contextual")
    claimed.refresh()
    plane.settings.clock.advance(UNCLAIMED_S - 1)
    assert plane.sweep().visitors == 0
    plane.settings.clock.advance(1)

    assert plane.sweep().visitors == 1
    assert claimed.refresh().categories == ("contextual",)


def legacy(plane, visitor, secret="A" * 43):
    """Make this visitor's newest session one of version 0.1.0, whose cookie holds `secret`."""
    mine = sessions.c.session == stored(visitor.session)
    with plane.database.write() as connection:
        old = {"session": stored(secret), "withdraw": None, "presented_at": 1}
        connection.execute(update(sessions).where(mine).values(old))
    visitor.secret = secret
    return secret


def names(plane):
    with plane.database.read() as connection:
        return {(row.session, row.withdraw) for row in connection.execute(select(sessions))}


@pytest.mark.parametrize("call", ["refresh", "grant"])
def test_an_old_secret_is_migrated_when_it_is_presented(plane, browser, refused, call):
    """Once shown, its row holds the two new hashes; the old hash then opens nothing."""
    visitor = browser()
    visitor.grant("contextual")
    secret = legacy(plane, visitor)
    made = credentials_of(secret.encode())
    answer = visitor.refresh(legacy=secret) if call == "refresh" else visitor.grant("contextual", legacy=secret)

    assert answer.sub == visitor.sub
    assert (stored(made.grant), stored(made.withdraw)) in names(plane)
    assert stored(secret) not in {session for session, _ in names(plane)}
    row = replace(visitor.row(), withdraw=None, session_legacy=stored(secret))
    refused("session-unknown", 404, plane.consents.withdraw, None, row)


def test_an_old_hash_alone_neither_grants_nor_refreshes(plane, browser, refused):
    """What version 0.1.0 kept on a POP's disk was a credential; now it only withdraws, until it is migrated."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    secret = legacy(plane, visitor)
    grant = credentials_of(secret.encode()).grant

    refused("session-unknown", 404, plane.consents.refresh, None, RefreshRequest(secret, "EU", False, POP))
    refused("session-unknown", 404, plane.consents.refresh, None, RefreshRequest(grant, "EU", False, POP))
    refused("bad-request", 400, visitor.refresh, session="B" * 43, legacy=secret)
    row = replace(visitor.row("behavioral"), withdraw=None, session_legacy=stored(secret))
    assert plane.consents.withdraw(None, row).choices == ("contextual", "experimental")


def test_an_old_secret_that_was_rotated_away_begins_a_new_identity(plane, browser, refused):
    """As version 0.1.0 did: its answer was lost, and the record stays with whoever got the successor."""
    visitor = browser()
    visitor.grant("contextual")
    secret = legacy(plane, visitor)
    with plane.database.write() as connection:
        connection.execute(update(sessions).values(retired=True))

    refused("session-rotated", 409, visitor.refresh, legacy=secret)
    before = visitor.sub
    assert visitor.grant("contextual", legacy=secret).sub != before
