"""What people say and what becomes of it: versions, sessions, tokens, withdrawals, signals, notice, minors."""

from dataclasses import replace

from sqlalchemy import update

from consent_core.formats.consent import read_answer, write_answer
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
    refused("clause-unknown", 400, browser().grant, "contextual", notice_digest="sha256:" + "0" * 64)


def test_a_receipt_names_no_notice_that_nobody_was_shown(plane, browser):
    """Only what the request says was shown, by its digest; a later change keeps the text that was shown last."""
    clause = plane.policies.in_force().bundle.clauses["notice-eu"]
    silent, told = browser(), browser()
    receipts = [
        silent.grant("contextual").receipt,
        told.grant("contextual", notice_digest=clause.sha256, language="en").receipt,
        told.withdraw("contextual").receipt,
    ]
    opened = [open_receipt(text, plane.keys.trust_file(), frozenset()) for text in receipts]
    shown = {"clause_id": "notice-eu", "clause_sha256": clause.sha256}

    assert [receipt.privacy_notice for receipt in opened] == [{}, shown, shown]


def test_a_receipt_calls_withdrawn_only_what_was_held(plane, browser):
    """Contextual and behavioral given, behavioral taken back: experimental was never given, so it is not withdrawn."""
    visitor = browser()
    visitor.grant("contextual", "behavioral")
    states = [_states(plane, visitor.withdraw("behavioral")), _states(plane, visitor.withdraw())]

    assert states == [("given", "withdrawn", "not-given"), ("withdrawn", "withdrawn", "not-given")]
    assert _states(plane, visitor.grant("behavioral")) == ("withdrawn", "given", "not-given")


def _states(plane, answer):
    receipt = open_receipt(answer.receipt, plane.keys.trust_file(), frozenset())
    assert receipt.ver == answer.ver
    return tuple(purpose.state for purpose in receipt.purposes)


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
    assert without.gpc_honoured
    assert without.reasons["behavioral"] == "us-ca-behavioral-gpc"
    assert visitor.grant("behavioral").categories == CATEGORIES


def test_a_signal_that_changes_nothing_is_shown_all_the_same(browser):
    """California, `Sec-GPC: 1`, only contextual chosen: behavioral is off, and the signal is the reason."""
    visitor = browser("US-CA", gpc=True)
    for answer in (visitor.grant("contextual"), visitor.refresh()):
        assert answer.gpc_honoured
        assert answer.reasons["behavioral"] == "us-ca-behavioral-gpc"
        assert (answer.ver, answer.categories) == (1, ("contextual",))


def test_a_signal_that_comes_with_another_yes_is_kept_too(plane, browser, entries):
    """The yes adds its category; what the signal ends is ended first, as a change of its own."""
    visitor = browser("US-CA")
    visitor.grant("contextual", "behavioral")
    visitor.gpc = True
    answer = visitor.grant("experimental")

    assert (answer.ver, answer.choices) == (3, ("contextual", "experimental"))
    assert answer.categories == answer.choices
    assert [(entry.categories, entry.ver) for entry in entries()] == [(("behavioral",), 2)]
    assert _states(plane, answer) == ("given", "withdrawn", "given")


def test_a_late_yes_does_not_undo_a_signal(browser):
    """A signal counts as said on arrival: a yes that was clicked before it and comes after it changes nothing."""
    visitor = browser("US-CA")
    visitor.grant(*CATEGORIES, number=1)
    visitor.gpc = True
    visitor.refresh()
    visitor.gpc = False

    assert visitor.grant("behavioral", number=2).categories == ("contextual", "experimental")
    assert visitor.grant("behavioral", number=3).categories == CATEGORIES


def test_each_change_raises_the_version(browser):
    """Yes, no, yes: 1, 2, 3 without numbers; a refresh is no change, nor is a yes that a later word has decided."""
    visitor = browser()
    versions = [visitor.grant(*CATEGORIES).ver, visitor.withdraw("behavioral").ver, visitor.refresh().ver]
    versions += [visitor.grant("behavioral").ver, visitor.grant("behavioral", number=2).ver]

    assert versions == [1, 2, 2, 3, 3]


def test_a_yes_adds_and_takes_nothing(browser, entries):
    """A change is a delta: what it does not name stays as it was."""
    visitor = browser()
    visitor.grant("contextual", "behavioral")
    answer = visitor.grant("experimental")

    assert (answer.choices, answer.categories, answer.revoked) == (CATEGORIES, CATEGORIES, False)
    assert entries() == ()


def test_a_yes_that_is_no_longer_effective_stops_older_tokens(browser, entries):
    """Chosen again by somebody who says that they are younger: what was effective is lost."""
    visitor = browser("US-CA")
    visitor.grant(*CATEGORIES)
    visitor.age_band = "under-13"
    answer = visitor.grant("behavioral")
    (entry,) = entries()

    assert (answer.categories, answer.revoked) == (("contextual",), True)
    assert (entry.categories, entry.ver) == (("behavioral", "experimental"), 2)


def test_widening_needs_no_entry(browser, entries):
    """More consent takes nothing from anybody."""
    visitor = browser()
    visitor.grant("contextual")
    visitor.grant(*CATEGORIES)

    assert entries() == ()


def test_a_person_without_anything_effective_carries_no_token(browser):
    """Nothing to prove, so nothing to be recognised by."""
    assert browser("EU").notice().token is None
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
    row, withdraw = visitor.row("behavioral", key="k" * 22), visitor.plane.consents.withdraw
    versions = [withdraw(None, row).ver, withdraw(None, row).ver]
    visitor.grant(*CATEGORIES)

    assert versions == [2, 2]
    assert withdraw(None, row).ver == 3
    assert len(entries()) == 1
    assert visitor.refresh().categories == CATEGORIES


def test_a_copy_that_names_further_categories_counts_for_those(browser):
    """`consent-no` names fewer of them once a yes has overtaken some: the first POP's row still says all."""
    visitor = browser()
    visitor.grant(*CATEGORIES)
    answers = [
        visitor.withdraw("contextual", key="k" * 22, number=2),
        visitor.withdraw("contextual", "behavioral", key="k" * 22, number=2),
        visitor.withdraw("contextual", "behavioral", key="k" * 22, number=2),
    ]

    assert [answer.choices for answer in answers] == [("behavioral", "experimental"), *[("experimental",)] * 2]


def test_a_no_to_what_nobody_gave_is_kept(browser, entries):
    """It is above whatever yes was clicked before it: the version rises, and no token there can be is above it."""
    visitor = browser()
    visitor.grant("contextual")
    answer = visitor.withdraw("behavioral", number=3)
    late = visitor.grant("behavioral", number=2)

    assert (answer.ver, answer.choices, answer.revoked) == (3, ("contextual",), False)
    assert (late.ver, late.choices) == (3, ("contextual",))
    assert [(entry.categories, entry.ver, entry.said) for entry in entries()] == [(("behavioral",), 3, 3)]


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

    assert seen == replace(granted, token=None, expires_at=None, proof=None)


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
