"""A device with its file: what is readable when, and what is deleted before the first decision."""

import shutil

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Rejected, Unavailable, Untrusted
from device_agent.device import Device
from device_agent.store import DeviceStore, Sealing
from tests.device_agent.leases import NONCE, NOW, SHARE, lease

KEY = b"d" * 32
HISTORY = b"the rain jacket of last Tuesday"


def start(path, clock):
    """A device over its file, as after a restart."""
    return Device("kiosk-1", KEY, DeviceStore.open(path), clock)


def holding(path, clock):
    """One with a lease and one row of history."""
    device = start(path, clock)
    device.take(lease(), SHARE, NONCE)
    sealing = device.require("behavioral")
    store = DeviceStore.open(path)
    store.put("history", "1", HISTORY, sealing)
    store.close()
    return device


def rows(path):
    """How much is sealed in the file."""
    store = DeviceStore.open(path)
    try:
        return sum(store.counts().values())
    finally:
        store.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "device.db"


def test_what_was_put_is_read_under_the_lease(path):
    """While it lasts."""
    device = holding(path, ManualClock())
    assert DeviceStore.open(path).get("history", "1", device.require("behavioral")) == HISTORY


def test_the_disk_holds_neither_share_nor_history(path):
    """Who copies the file and the device key reads nothing."""
    holding(path, ManualClock())
    everything = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert HISTORY not in everything
    assert SHARE not in everything


@pytest.mark.parametrize(("key", "share"), [(KEY, b"t" * 32), (b"e" * 32, SHARE), (KEY, bytes(32))])
def test_either_half_of_the_key_alone_opens_nothing(path, key, share):
    """Another share, or another device."""
    holding(path, ManualClock())
    with pytest.raises(Unavailable) as refusal:
        DeviceStore.open(path).get("history", "1", Sealing.of(key, share))
    assert refusal.value.code == "device-closed"


def test_a_row_that_was_moved_opens_nothing(path):
    """Its place is part of what was sealed."""
    device = holding(path, ManualClock())
    store = DeviceStore.open(path)
    store._connection.execute("UPDATE sealed SET name = '2'")
    with pytest.raises(Unavailable):
        store.get("history", "2", device.require("behavioral"))


def test_offline_past_its_lease_a_device_refuses_and_has_deleted(path):
    """By itself, without any network."""
    clock = ManualClock()
    device = holding(path, clock)
    clock.advance(86_400)
    with pytest.raises(Unavailable) as refusal:
        device.require("behavioral")
    assert refusal.value.code == "lease-ended"
    assert rows(path) == 0


def test_a_restart_refuses_until_a_fresh_lease(path):
    """Then the same rows open again."""
    clock = ManualClock()
    holding(path, clock)
    device = start(path, clock)
    with pytest.raises(Unavailable) as refusal:
        device.require("behavioral")
    assert refusal.value.code == "device-closed"
    device.take(lease(at=NOW + 1), SHARE, NONCE)
    assert DeviceStore.open(path).get("history", "1", device.require("behavioral")) == HISTORY


def test_a_device_that_wakes_after_a_revocation_deletes_before_its_first_decision(path):
    """Nothing was readable before, nothing is there after."""
    clock = ManualClock()
    holding(path, clock)
    clock.advance(3_600)
    device = start(path, clock)
    with pytest.raises(Unavailable):
        device.require("contextual")
    assert device.take(lease(at=NOW + 3_600, ver=4, categories=()), None, NONCE) == "bare"
    assert rows(path) == 0


def test_a_restored_file_is_unreadable_and_goes_with_the_next_lease(path):
    """A copy from before the revocation brings nothing back."""
    clock = ManualClock()
    holding(path, clock).take(lease(at=NOW + 1, ver=4, categories=()), None, NONCE)
    restored = path.with_name("restored.db")
    holding(path.with_name("other.db"), clock)
    shutil.copy(path.with_name("other.db"), restored)
    device = start(restored, clock)
    with pytest.raises(Unavailable) as refusal:
        device.require("behavioral")
    assert refusal.value.code == "device-closed"
    device.take(lease(at=NOW + 2, ver=4, categories=(), erased=True), None, NONCE)
    assert rows(restored) == 0


def test_a_clock_set_back_means_defaults(path):
    """Until a signed time comes."""
    clock = ManualClock()
    device = holding(path, clock)
    clock.wall -= 60
    with pytest.raises(Unavailable) as refusal:
        device.require("behavioral")
    assert refusal.value.code == "device-clock"
    device.take(lease(at=NOW + 1), SHARE, NONCE)
    device.require("behavioral")


def test_a_category_that_the_lease_does_not_name_is_refused(path):
    """Each decision names its category."""
    with pytest.raises(Rejected) as refusal:
        holding(path, ManualClock()).require("experimental")
    assert refusal.value.code == "lease-category"


def test_a_device_without_a_lease_decides_nothing(path):
    """Enrolment alone allows nothing."""
    with pytest.raises(Unavailable) as refusal:
        start(path, ManualClock()).require("contextual")
    assert refusal.value.code == "device-no-lease"


def test_a_lease_for_another_device_changes_nothing(path):
    """What is held stays held."""
    device = holding(path, ManualClock())

    with pytest.raises(Untrusted):
        device.take(lease(device="kiosk-2", categories=()), None, NONCE)
    device.require("behavioral")


def test_the_file_is_for_its_owner_alone(path):
    """Another user of the machine does not read it."""
    holding(path, ManualClock())
    assert path.stat().st_mode & 0o077 == 0


def test_a_deletion_that_leaves_something_stays_owed(path):
    """The device decides nothing, and deletes again at its next look."""
    clock = ManualClock()
    device = holding(path, clock)
    store = DeviceStore.open(path)
    store._connection.execute("CREATE TRIGGER stuck BEFORE DELETE ON sealed BEGIN SELECT RAISE(IGNORE); END")
    clock.advance(86_400)
    with pytest.raises(Unavailable) as refusal:
        device.require("behavioral")
    assert refusal.value.code == "device-owed"
    store._connection.execute("DROP TRIGGER stuck")
    assert device.step() == "bare"
    assert rows(path) == 0


def test_deleted_rows_leave_no_bytes_in_the_file(path):
    """Free pages are overwritten: sealed bytes do not wait for a share that leaks later."""
    clock = ManualClock()
    device = holding(path, clock)
    store = DeviceStore.open(path)
    sealed = store._connection.execute("SELECT data FROM sealed").fetchone()[0]
    assert sealed in path.read_bytes()
    clock.advance(86_400)
    device.step()
    assert sealed not in path.read_bytes()
