"""Private keys and the trust file that publishes their halves."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from consent_core.clock import ManualClock
from consent_core.errors import Unavailable, Untrusted
from consent_core.trust.keys import ROLES, KeyStore
from consent_core.trust.trust_file import TrustFile


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> KeyStore:
    return KeyStore.open(tmp_path, create=True, clock=clock)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_signs_what_the_trust_file_verifies(store: KeyStore, role: str) -> None:
    """A signature of each role's current key verifies by the published half."""
    key = store.current(role)
    signature = key.sign(b"message")

    assert len(signature) == 64
    store.trust_file().verify(role, key.kid, b"message", signature, now=0, revoked=frozenset())


@pytest.mark.parametrize("role", ROLES)
def test_a_changed_message_is_refused(store: KeyStore, role: str) -> None:
    """Another message under the same signature is not trusted."""
    key = store.current(role)

    with pytest.raises(Untrusted) as refusal:
        store.trust_file().verify(role, key.kid, b"messagE", key.sign(b"message"), now=0, revoked=frozenset())

    assert refusal.value.code == "trust-signature"


def test_a_key_of_another_role_is_unknown(store: KeyStore) -> None:
    """A component key cannot sign a release."""
    key = store.current("component")

    with pytest.raises(Untrusted) as refusal:
        store.trust_file().verify("release", key.kid, b"m", key.sign(b"m"), now=0, revoked=frozenset())

    assert refusal.value.code == "trust-key-unknown"


def test_private_files_are_readable_by_the_owner_alone(store: KeyStore, tmp_path: Path) -> None:
    """Mode 0600 for each role file; the trust file is public and holds no secret."""
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").glob("*.json")}
    secrets = [path.read_text().split('"secret":"')[1].split('"')[0] for path in (tmp_path / "keys").glob("*.json")]

    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "trust.json").stat().st_mode) == 0o644
    assert not any(secret in (tmp_path / "trust.json").read_text() for secret in secrets)


def test_opening_again_finds_the_same_keys(store: KeyStore, tmp_path: Path) -> None:
    """What was created once stays."""
    again = KeyStore.open(tmp_path, create=True)

    assert [again.current(role).kid for role in ROLES] == [store.current(role).kid for role in ROLES]


def test_without_create_missing_keys_are_unavailable(tmp_path: Path) -> None:
    """A verifier that expects keys does not silently make its own."""
    with pytest.raises(Unavailable) as refusal:
        KeyStore.open(tmp_path)

    assert refusal.value.code == "keys-missing"


def test_a_damaged_key_file_is_named(store: KeyStore, tmp_path: Path) -> None:
    """Half a key file is refused, not replaced."""
    path = tmp_path / "keys" / "token.json"
    path.write_bytes(path.read_bytes()[:40])

    with pytest.raises(Untrusted, match=r"keys/token\.json"):
        KeyStore.open(tmp_path, create=True)


def test_rotation_overlaps(store: KeyStore, clock: ManualClock) -> None:
    """After a rotation the old key verifies until the overlap ends, the new one signs at once."""
    old = store.current("token")
    store.rotate("token", overlap_s=600)
    new, trust = store.current("token"), store.trust_file()

    assert new.kid != old.kid
    assert [key.kid for key in trust.keys("token", clock.now())] == [old.kid, new.kid]
    clock.advance(600)
    assert [key.kid for key in trust.keys("token", clock.now())] == [new.kid]
    with pytest.raises(Untrusted) as refusal:
        trust.verify("token", old.kid, b"m", old.sign(b"m"), clock.now(), revoked=frozenset())
    assert refusal.value.code == "trust-key-expired"


def test_a_second_rotation_does_not_prolong_the_first_key(store: KeyStore, clock: ManualClock) -> None:
    """The end of a key only ever moves forward in time to meet us."""
    store.rotate("token", overlap_s=10)
    store.rotate("token", overlap_s=1_000)

    assert store.all("token")[0].not_after == clock.now() + 10


def test_a_rotation_by_another_process_is_noticed(store: KeyStore, tmp_path: Path, clock: ManualClock) -> None:
    """`current` follows the file."""
    new = KeyStore.open(tmp_path, clock=clock).rotate("log", overlap_s=60)

    assert store.current("log").kid == new.kid


def test_settings_survive_rotation(store: KeyStore, tmp_path: Path) -> None:
    """Changing keys never resets minimum epochs or the issuer."""
    store.set_trust(issuer="shop.example", minimum_epochs={"contextual": 4})
    store.rotate("release", overlap_s=0)
    trust = TrustFile.load(tmp_path / "trust.json")

    assert (trust.issuer, trust.minimum_epochs) == ("shop.example", {"contextual": 4})


OPEN = """
import sys
from pathlib import Path
from consent_core.trust.keys import ROLES, KeyStore
store = KeyStore.open(Path(sys.argv[1]), create=True)
print(*(store.current(role).kid for role in ROLES))
"""


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """Four processes open one empty directory and end up with the same keys and trust file."""
    command = [sys.executable, "-c", OPEN, str(tmp_path / "data")]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(4)]
    answers = [process.communicate()[0].decode().split() for process in processes]

    trust = TrustFile.load(tmp_path / "data" / "trust.json")
    assert answers == [[trust.keys(role)[0].kid for role in ROLES]] * 4


def test_a_role_that_does_not_exist_has_no_keys(store: KeyStore) -> None:
    """A name that is no role is no file of the folder either."""
    with pytest.raises(ValueError, match="no role"):
        store.current("../token")


def test_keys_of_another_role_are_no_keys_of_this_one(store: KeyStore, tmp_path: Path) -> None:
    """A key file that was put in another one's place is damaged, even if each key in it is good."""
    (tmp_path / "keys" / "log.json").write_bytes((tmp_path / "keys" / "bundle.json").read_bytes())

    with pytest.raises(Untrusted) as refusal:
        KeyStore.open(tmp_path).current("log")
    assert refusal.value.code == "keys-malformed"
