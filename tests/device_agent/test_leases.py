"""What ends a device's lease, and which lease it does not take."""

import pytest

from consent_core.errors import Rejected, Untrusted
from device_agent.leases import Kept, Moment, Standing, deleted, look, take
from tests.device_agent.leases import NONCE, NOW, SHARE, lease

START = Moment(NOW, 100.0)


def holding():
    """A device that holds the good lease."""
    return take(Standing(), lease(), SHARE, NONCE, "kiosk-1", START)


def after(seconds, wall=None):
    """So much later by both clocks, or by another wall clock."""
    return Moment(NOW + seconds if wall is None else wall, 100.0 + seconds)


def state_at(standing, moment):
    """After a look at that moment."""
    return look(standing, moment).state(moment)


def test_a_fresh_lease_decides_until_its_last_second():
    """And not in the one after."""
    assert state_at(holding(), after(86_399)) == "holding"
    assert state_at(holding(), after(86_400)) == "ended"


def test_running_time_ends_a_lease_whose_wall_clock_stands_still():
    """A wall clock that was set back an hour, or stopped, gains nothing."""
    assert state_at(holding(), after(86_400, wall=NOW)) == "ended"


def test_the_wall_clock_ends_a_lease_that_did_not_run():
    """A machine that was off for a day has nothing left."""
    assert state_at(Standing(holding().kept), Moment(NOW + 86_400, 1.0)) == "ended"


def test_a_clock_set_back_is_noticed():
    """Six seconds are a step back, five are a correction."""
    later = look(holding(), after(100))
    assert state_at(later, Moment(NOW + 94, 201.0)) == "clocked"
    assert state_at(later, Moment(NOW + 95, 201.0)) == "holding"


def test_after_a_restart_nothing_is_readable():
    """The share was in memory alone."""
    restarted = look(Standing(holding().kept), Moment(NOW + 1, 1.0))
    assert restarted.share is None
    assert restarted.state(Moment(NOW + 1, 1.0)) == "closed"


def test_running_time_is_kept_over_restarts():
    """Twelve hours twice are a day, by any wall clock."""
    half = look(holding(), after(43_200, wall=NOW))
    begun = look(Standing(half.kept), Moment(NOW, 0.0))
    assert state_at(begun, Moment(NOW, 43_199.0)) == "closed"
    assert state_at(begun, Moment(NOW, 43_200.0)) == "ended"


def test_a_resumed_copy_forgets_the_share():
    """Another generation of the virtual machine is another machine."""
    resumed = look(holding(), Moment(NOW + 1, 101.0, generation=7))
    assert resumed.share is None


def test_an_ended_lease_stays_ended_when_the_clock_goes_back():
    """The deletion is owed until it is done."""
    ended = look(holding(), after(86_400))
    assert state_at(ended, after(86_401, wall=NOW)) == "ended"


@pytest.mark.parametrize(
    "changes", [{"categories": ()}, {"categories": (), "erased": True}, {"categories": ("contextual",)}]
)
def test_a_lease_that_takes_something_away_ends_what_is_held(changes):
    """Also where a share comes with it."""
    taken = take(holding(), lease(**changes, at=NOW + 60), SHARE, NONCE, "kiosk-1", after(60))
    assert taken.state(after(60)) == "ended"
    assert taken.share is None


def test_after_the_deletion_a_lease_is_held_again():
    """Less than before, with a share."""
    less = lease(categories=("contextual",), at=NOW + 60)
    bare = deleted(take(holding(), less, SHARE, NONCE, "kiosk-1", after(60)))
    assert bare.state(after(60)) == "bare"
    assert take(bare, less, SHARE, NONCE, "kiosk-1", after(61)).state(after(61)) == "holding"


@pytest.mark.parametrize(
    ("changes", "share", "code"),
    [
        ({"device": "kiosk-2"}, SHARE, "lease-foreign"),
        ({"subject": "b" * 64}, SHARE, "lease-foreign"),
        ({"nonce": "m" * 22}, SHARE, "lease-nonce"),
        ({"at": NOW - 1}, SHARE, "lease-rewind"),
        ({"ver": 2}, SHARE, "lease-rewind"),
        ({}, None, "lease-share"),
        ({}, b"s" * 31, "lease-share"),
    ],
)
def test_a_lease_that_is_not_the_next_of_this_device_is_refused(changes, share, code):
    """Another's, an older one, an answer to another question, or without the share."""
    with pytest.raises(Untrusted) as refusal:
        take(holding(), lease(**changes), share, NONCE, "kiosk-1", after(1))
    assert refusal.value.code == code


def test_no_lease_is_held_before_the_deletion_that_is_owed():
    """Consent given again does not bring back what ended."""
    ended = look(holding(), after(86_400))
    with pytest.raises(Rejected) as refusal:
        take(ended, lease(at=NOW + 86_400), SHARE, NONCE, "kiosk-1", after(86_400))
    assert refusal.value.code == "lease-owed"


def test_a_standing_prints_no_share():
    """Nor does a log line that holds it."""
    assert "ssss" not in repr(holding())


def test_a_device_without_a_lease_is_enrolled():
    """And has nothing to delete."""
    assert Standing(Kept()).state(START) == "enrolled"


def test_a_first_lease_that_allows_nothing_is_not_held():
    """Also where a share comes with it."""
    taken = take(Standing(), lease(categories=()), SHARE, NONCE, "kiosk-1", START)
    assert taken.state(START) == "ended"
    assert taken.share is None


def test_a_lease_that_is_over_forgets_its_share_at_once():
    """Before anything is deleted nothing is readable."""
    assert look(holding(), after(86_400)).share is None
