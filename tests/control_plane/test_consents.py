"""What people say and what becomes of it: versions, sessions, tokens, withdrawals, signals, notice, minors."""

import threading
from dataclasses import replace

from sqlalchemy import update

from consent_core.errors import ConsentEdgeError
from consent_core.formats.consent import WithdrawalRequest, read_answer, write_answer
from consent_core.formats.receipt import open_receipt
from consent_core.formats.revocation import subject_of
from consent_core.formats.token import CATEGORIES
from control_plane.queue import RETRAIN, waiting
from control_plane.store.schema import log_head
from tests.control_plane.conftest import POP, Browser, claims, poll


def test_a_grant_is_a_record_a_token_and_a_receipt(either_plane):
    """The same on both stores: version 1, exactly the agreed claims, a receipt anybody can verify."""
    plane = either_plane
    answer = Browser(plane).grant("contextual", "behavioral")
    token = claims(plane, answer)
    receipt = open_receipt(answer.receipt, plane.keys.trust_file(), revoked=frozenset())

    assert (answer.ver, answer.categories, answer.revoked) == (1, ("contextual", "behavioral"), False)
    assert (token.sub, token.ver, token.scopes, token.region) == (answer.sub, 1, answer.categories, POP)
    assert token.exp - token.iat == 300
    assert answer.expires_at == token.exp
    assert token.hash == receipt.policy_hash == plane.policies.bundle().hash
    assert receipt.pii_principal_id == subject_of(answer.sub)
    assert answer.sub not in receipt.pii_principal_id


def test_a_receipt_says_what_was_shown_and_decided(plane, browser):
    """Clause and digest, jurisdiction, region, signal, and per category state, reason and retention."""
    answer = browser("US-CA", gpc=True).grant("contextual", "behavioral", clause_id="notice-us-ca")
    receipt = open_receipt(answer.receipt, plane.keys.trust_file(), revoked=frozenset())
    purposes = {purpose.purpose: purpose for purpose in receipt.purposes}

    assert receipt.schema_version == "ISO/IEC TS 27560:2023"
    assert receipt.follows == 0
    assert receipt.privacy_notice["clause_id"] == "notice-us-ca"
    assert receipt.privacy_notice["clause_sha256"].startswith("sha256:")
    assert (receipt.jurisdiction, receipt.region, receipt.gpc, receipt.gpc_honoured) == ("US-CA", POP, True, True)
    assert (purposes["behavioral"].state, purposes["behavioral"].effective) == ("given", False)
    assert purposes["behavioral"].reason == "us-ca-behavioral-gpc"
    assert purposes["experimental"].state == "not-given"
    assert [purposes[category].retention_period_s for category in CATEGORIES] == [0, 604_800, 1_209_600]


def test_an_unknown_clause_is_refused(browser, refused):
    """A receipt never names words that are not part of the policy in force."""
    refused("clause-unknown", 400, browser().grant, "contextual", clause_id="made-up")


def test_the_signal_switches_behavioral_off_in_california_and_is_shown(plane, browser):
    """`Sec-GPC: 1`: behavioral is not effective and the answer says that the signal was honoured."""
    answer = browser("US-CA", gpc=True).grant(*CATEGORIES)

    assert answer.categories == ("contextual", "experimental")
    assert answer.gpc_honoured
    assert claims(plane, answer).scopes == answer.categories
    assert not browser("US-CA").grant(*CATEGORIES).gpc_honoured


def test_a_signal_that_comes_later_is_kept_until_the_person_chooses_again(plane, browser, entries):
    """Its absence is not consent (11 CCR 7025(c)); it is a change of the record and stops older tokens."""
    visitor = browser("US-CA")
    visitor.grant(*CATEGORIES)
    visitor.gpc = True
    with_signal = visitor.refresh()
    visitor.gpc = False
    without = visitor.refresh()

    assert with_signal.categories == without.categories == ("contextual", "experimental")
    assert (with_signal.ver, without.ver, with_signal.source) == (2, 2, "gpc")
    assert [(entry.categories, entry.ver) for entry in entries()] == [(("behavioral",), 2)]
    assert visitor.grant(*CATEGORIES).categories == CATEGORIES


def test_each_change_raises_the_version_by_one(browser):
    """Grant, narrow, withdraw: 1, 2, 3; a refresh is no change."""
    visitor = browser()
    versions = [visitor.grant(*CATEGORIES).ver, visitor.grant("contextual").ver, visitor.refresh().ver]
    versions.append(visitor.withdraw().ver)

    assert versions == [1, 2, 2, 3]


def test_narrowing_stops_every_older_token(browser, entries):
    """What a grant no longer contains is an entry at the new version, in the same transaction."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    answer = visitor.grant("contextual", "experimental")
    (entry,) = entries()

    assert (entry.subject, entry.categories, entry.ver) == (subject_of(visitor.sub), ("behavioral",), 2)
    assert answer.revoked
    assert not visitor.grant(*CATEGORIES).revoked


def test_widening_needs_no_entry(browser, entries):
    """More consent takes nothing from anybody."""
    visitor = browser()
    visitor.grant("contextual")
    visitor.grant(*CATEGORIES)

    assert entries() == ()


def test_a_person_without_anything_effective_carries_no_token(browser):
    """Nothing to prove, so nothing to be recognised by."""
    assert browser().grant().token is None
    assert browser("EU", age_band="under-13").grant(*CATEGORIES).token is None
    visitor = browser()
    visitor.grant(*CATEGORIES)

    assert visitor.withdraw().token is None
    assert visitor.refresh().token is None


def test_minors_get_what_the_law_allows_them(browser):
    """In California 13 to 15 year-olds may opt in themselves; below 13 only contextual."""
    assert browser("US-CA", age_band="13-15").grant(*CATEGORIES).categories == CATEGORIES
    assert browser("US-CA", age_band="under-13").grant(*CATEGORIES).categories == ("contextual",)
    assert browser("US-CA", age_band="grown-up").grant(*CATEGORIES).categories == ("contextual",)


def test_an_unknown_place_has_the_strictest_rules(browser):
    """`XX` is nobody's law: the signal counts for all profiling, notice for nothing."""
    assert browser("XX", gpc=True).grant(*CATEGORIES).categories == ("contextual",)
    assert browser("XX").notice().categories == ()


# Notice.


def test_notice_gives_a_token_without_a_grant_where_the_law_is_opt_out(plane, browser):
    """California: after notice an adult is served until they say no; the answer says that it was notice."""
    answer = browser("US-CA").notice()
    receipt = open_receipt(answer.receipt, plane.keys.trust_file(), revoked=frozenset())

    assert (answer.source, answer.categories) == ("notice", CATEGORIES)
    assert claims(plane, answer).scopes == CATEGORIES
    assert {purpose.state for purpose in receipt.purposes} == {"notified"}
    assert {purpose.lawful_basis for purpose in receipt.purposes} == {"notice with opt-out"}


def test_notice_gives_nothing_where_the_law_is_opt_in(browser):
    """The EU and unknown places; and less to minors and under the signal."""
    assert browser("EU").notice().token is None
    assert browser("US-CA", gpc=True).notice().categories == ("contextual", "experimental")
    assert browser("US-CA", age_band="13-15").notice().categories == ("contextual",)


def test_notice_does_not_travel(browser):
    """Told in California, refreshed in the EU: nothing was chosen, so nothing is effective there."""
    visitor = browser("US-CA")
    visitor.notice()
    visitor.jurisdiction = "EU"

    assert visitor.refresh().token is None
    visitor.jurisdiction = "US-CA"
    assert visitor.refresh().categories == CATEGORIES


def test_a_no_after_notice_holds(browser, refused):
    """A later notice never overrides what the person said."""
    visitor = browser("US-CA")
    visitor.notice()

    assert visitor.withdraw("behavioral").categories == ("contextual", "experimental")
    assert visitor.refresh().categories == ("contextual", "experimental")
    refused("consent-recorded", 409, visitor.notice)


# Sessions.


def test_the_session_is_rotated_at_each_grant(browser, refused):
    """Fixation: whoever planted or saw the old cookie can neither grant nor refresh with it."""
    visitor = browser()
    visitor.grant("contextual")
    planted = visitor.session
    visitor.grant(*CATEGORIES)
    thief = browser()
    thief.session = planted

    refused("session-rotated", 409, thief.grant, *CATEGORIES)
    refused("session-rotated", 409, thief.refresh)
    refused("session-rotated", 409, thief.plane.consents.look, None, planted)
    assert visitor.refresh().categories == CATEGORIES


def test_whose_answer_was_lost_is_not_locked_out(browser, refused):
    """The browser never got the rotated cookie: a minute later it may choose again, and gets nobody's record."""
    visitor = browser()
    visitor.grant("contextual")
    lost, sub = visitor.session, visitor.grant(*CATEGORIES).sub
    stranded = browser()
    stranded.session = lost
    stranded.plane.settings.clock.advance(60)

    refused("session-rotated", 409, stranded.refresh)
    refused("session-rotated", 409, stranded.notice)
    answer = stranded.grant("behavioral")
    assert (answer.ver, answer.choices) == (1, ("behavioral",))
    assert answer.sub != sub
    assert visitor.refresh().categories == CATEGORIES


def test_a_rotated_session_may_still_say_no_but_gets_nothing_for_it(browser):
    """Two tabs: the old one's withdrawal counts, and its answer carries no token."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    old = visitor.session
    visitor.grant(*CATEGORIES)
    request = WithdrawalRequest(old, "k" * 22, POP, ("behavioral",))
    answer = visitor.plane.consents.withdraw(None, request)

    assert (answer.ver, answer.token) == (3, None)
    assert visitor.refresh().categories == ("contextual", "experimental")


def test_a_session_that_was_never_issued_begins_a_new_identity(browser):
    """Cookie tossing with an invented secret wins nobody's record."""
    visitor = browser()
    visitor.session = "ab" * 32
    first = visitor.grant("contextual")

    assert first.ver == 1
    assert first.sub != browser().grant("contextual").sub


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
    """One second before, everything is there; a new choice begins it anew, a refresh does not."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    plane.settings.clock.advance(plane.settings.consent_retention_s - 1)

    assert plane.sweep().visitors == 0
    assert visitor.refresh().categories == CATEGORIES
    visitor.grant(*CATEGORIES)
    plane.settings.clock.advance(1)
    assert plane.sweep().visitors == 0


def test_somebody_elses_sub_is_refused(browser, refused):
    """The secret decides whose consent it is, never the `sub` in the path."""
    visitor, other = browser(), browser()
    visitor.grant(*CATEGORIES)
    other.grant(*CATEGORIES)

    refused("session-foreign", 403, visitor.refresh, sub=other.sub)
    refused("session-foreign", 403, visitor.withdraw, sub=other.sub)
    refused("session-foreign", 403, visitor.plane.consents.look, other.sub, visitor.session)
    assert other.refresh(sub=other.sub).ver == 1


def test_a_grant_whose_answer_was_lost_may_be_repeated(plane, browser, entries):
    """The same session, next session and choices: the same version, once."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    request = visitor.request("contextual")
    answers = [plane.consents.grant(request) for _ in range(2)]

    assert [answer.ver for answer in answers] == [2, 2]
    assert answers[0].receipt == answers[1].receipt
    assert len(entries()) == 1


def test_a_next_session_is_used_once(plane, browser, refused):
    """Another choice under a session that exists is nobody's repetition."""
    visitor, other = browser(), browser()
    visitor.grant("contextual")
    request = replace(visitor.request(*CATEGORIES), next_session=visitor.session)

    refused("session-reused", 409, plane.consents.grant, request)
    refused("session-reused", 409, plane.consents.grant, replace(other.request(), next_session=visitor.session))


def test_of_two_tabs_with_one_expected_version_one_wins(either_plane):
    """Both hold version 1 and the same cookie; the second learns that the session was rotated."""
    plane = either_plane
    visitor = Browser(plane)
    visitor.grant("contextual")
    requests = [visitor.request(*choices, expected_ver=1) for choices in (CATEGORIES, (), ("behavioral",))]
    outcomes: list[object] = []
    start = threading.Barrier(len(requests))

    def tab(request):
        start.wait()
        try:
            outcomes.append(plane.consents.grant(request).ver)
        except ConsentEdgeError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=tab, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes, key=str) == [2, "session-rotated", "session-rotated"]


def test_a_choice_about_an_older_version_is_refused(browser, refused):
    """The person was looking at another state, such as before a withdrawal elsewhere."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    visitor.withdraw("behavioral")

    refused("version-conflict", 409, visitor.grant, *CATEGORIES, expected_ver=1)
    assert visitor.grant(*CATEGORIES, expected_ver=2).ver == 3


# Withdrawals.


def test_a_withdrawal_stops_older_tokens_and_queues_a_retrain(plane, browser, entries):
    """Entry and work in the transaction of the record."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    answer = visitor.withdraw()
    (entry,) = entries()
    with plane.database.read() as connection:
        (job,) = waiting(connection, RETRAIN)

    assert (answer.revoked, answer.source, answer.choices, answer.categories) == (True, "withdrawal", (), ())
    assert (entry.categories, entry.ver) == (CATEGORIES, 2)
    assert job.body == {"subject": entry.subject, "seq": entry.seq}


def test_a_withdrawal_of_one_category_keeps_the_others(browser, entries):
    """Only what was named is taken; work is queued only for behavioural history."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    answer = visitor.withdraw("experimental")

    assert answer.categories == ("contextual", "behavioral")
    assert [entry.categories for entry in entries()] == [("experimental",)]


def test_a_withdrawal_forwarded_twice_counts_once(browser, entries):
    """The idempotency key makes an outbox safe to repeat, whatever happened in between."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    request = WithdrawalRequest(visitor.session, "k" * 22, POP, ("behavioral",))
    withdraw = visitor.plane.consents.withdraw
    versions = [withdraw(None, request).ver, withdraw(None, request).ver]
    visitor.grant(*CATEGORIES)

    assert versions == [2, 2]
    assert withdraw(None, request).ver == 3
    assert len(entries()) == 1
    assert visitor.refresh().categories == CATEGORIES


def test_one_key_is_one_withdrawal(browser, refused):
    """Another body under a used key is a mistake, not a repetition."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    visitor.withdraw("behavioral", key="k" * 22)

    refused("idempotency-conflict", 409, visitor.withdraw, "contextual", key="k" * 22)


def test_withdrawing_what_nobody_gave_changes_nothing(browser, entries):
    """No new version, no entry."""
    visitor = browser()
    visitor.grant("contextual")

    assert visitor.withdraw("behavioral").ver == 1
    assert entries() == ()


def test_a_token_from_before_a_withdrawal_is_below_its_entry(plane, browser, entries):
    """Replay: the old token still verifies, and the log says that its version has lost everything."""
    visitor = browser()
    old = claims(plane, visitor.grant(*CATEGORIES))
    visitor.withdraw()
    (entry,) = entries()

    assert subject_of(old.sub) == entry.subject
    assert old.ver < entry.ver
    assert set(old.scopes) <= set(entry.categories)


# Refresh.


def test_a_refresh_never_widens(browser):
    """Choices made where less was allowed stay as narrow elsewhere."""
    visitor = browser("US-CA", gpc=True)
    visitor.grant(*CATEGORIES)
    visitor.jurisdiction, visitor.gpc = "EU", False

    assert visitor.refresh().categories == ("contextual", "experimental")


def test_a_refresh_is_narrowed_by_the_place_it_comes_from(browser):
    """A minor who may choose in California may not in the EU; back home they may again."""
    visitor = browser("US-CA", age_band="13-15")
    visitor.grant(*CATEGORIES)
    visitor.jurisdiction = "EU"

    assert visitor.refresh().categories == ()
    visitor.jurisdiction = "US-CA"
    assert visitor.refresh().categories == CATEGORIES


def test_looking_changes_nothing_and_carries_no_token(browser):
    """`GET`: the record in force."""
    visitor = browser()
    granted = visitor.grant("contextual")
    seen = visitor.plane.consents.look(visitor.sub, visitor.session)

    assert seen == replace(granted, token=None, expires_at=None)


def test_the_store_never_holds_a_cookie_secret_or_token(plane, browser):
    """Only hashes of sessions reach the control plane; tokens are not kept."""
    answer = browser().grant(*CATEGORIES)
    plane.close()
    stored = b"".join(path.read_bytes() for path in plane.settings.home.glob("consent.db*"))

    assert answer.token.encode() not in stored


def test_the_largest_answer_is_within_the_limits_of_its_readers(browser):
    """All categories, the signal, a receipt: a POP can read it."""
    answer = browser("US-CA", gpc=True).grant(*CATEGORIES)

    assert read_answer(write_answer(answer)) == answer


def test_an_empty_store_serves_nobody(plane, browser, refused):
    """Before the first policy every consent call is `policy-missing`."""
    with plane.database.write() as connection:
        connection.execute(update(log_head).values(policy_hash=None))

    refused("policy-missing", 503, browser().grant, "contextual")
    assert poll(plane).head == 1


def test_only_this_user_reads_the_store(plane):
    """Records, receipts and pseudonyms of every visitor lie in it."""
    files = list(plane.settings.data.glob("control-plane/consent.db*"))

    assert {file.name for file in files} >= {"consent.db", "consent.db-wal"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
