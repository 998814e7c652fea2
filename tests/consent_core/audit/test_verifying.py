"""Several trails at once: a missing one is a failure, and a damaged one stops no verdict but its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from consent_core.audit.verify import VerifyReport, reported_heads, verify_all
from consent_core.audit.writer import AuditWriter
from consent_core.clock import ManualClock
from consent_core.errors import Rejected
from consent_core.trust.providers.keyring import LocalKeyring
from edge_cli.audit import check_trails
from tests.consent_core.audit.conftest import QUIET, fill

TRAILS = ("control-plane", "osaka-1", "tokyo-1", "tokyo-1.w2")


@pytest.fixture
def root(tmp_path: Path, provider: LocalKeyring) -> Path:
    """Four closed trails; the control plane's holds the heads of the others."""
    root, heads = tmp_path / "audit" / "edge", {}
    for name in reversed(TRAILS):
        audit = AuditWriter.open(root / name, name, provider, ManualClock(), QUIET)
        fill(audit, 3)
        heads[name] = audit.head().text
        if name == "control-plane":
            audit.append({"pop": "osaka-1", "audit_head": heads["osaka-1"]})
            workers = [f"tokyo-1.w2={heads['tokyo-1.w2']}", f"osaka-1.w2={heads['osaka-1']}"]
            audit.append({"pop": "tokyo-1", "audit_head": heads["tokyo-1"], "worker_heads": workers})
            audit.append({"pop": "osaka-1", "audit_head": "no head at all"})
        audit.close()
    return root


def codes(reports: list[VerifyReport]) -> dict[str, str | None]:
    return {report.directory: None if report.problem is None else report.problem.code for report in reports}


def test_four_trails_in_order(root: Path, provider: LocalKeyring) -> None:
    """Also where a POP reported something that is no head, or a head of a trail that is not its own."""
    heads = reported_heads(root / "control-plane", provider)

    assert set(heads) == {"osaka-1", "tokyo-1", "tokyo-1.w2"}
    assert codes(verify_all(root, provider, heads)) == dict.fromkeys(TRAILS)


@pytest.mark.parametrize("gone", TRAILS[1:])
def test_a_reported_trail_that_is_gone_is_a_failure(root: Path, provider: LocalKeyring, gone: str) -> None:
    """`rm -rf` of a whole trail, and of what is in it."""
    heads = reported_heads(root / "control-plane", provider)
    for path in (root / gone).iterdir():
        path.unlink()
    emptied = codes(verify_all(root, provider, heads))
    (root / gone).rmdir()

    assert emptied == codes(verify_all(root, provider, heads)) == {**dict.fromkeys(TRAILS), gone: "audit-truncated"}


def test_a_trail_of_another_machine_is_named_so(root: Path, provider: LocalKeyring) -> None:
    """`--elsewhere` is for that POP and its workers; it excuses no other, and checks what is here all the same."""
    heads = reported_heads(root / "control-plane", provider)
    for name in ("tokyo-1", "tokyo-1.w2"):
        for path in (root / name).iterdir():
            path.unlink()
    log = next((root / "osaka-1").glob("*.log"))
    log.write_bytes(log.read_bytes()[:-1])

    assert codes(verify_all(root, provider, heads, {"tokyo-1", "osaka-1"})) == {
        "control-plane": None, "osaka-1": "audit-truncated",
    }  # fmt: skip
    assert codes(verify_all(root, provider, heads, {"osaka-1"}))["tokyo-1.w2"] == "audit-truncated"


def _noise(trail: Path) -> None:
    (trail / "journal").write_bytes(b"audit-j9" + bytes(4096))


def _short(trail: Path) -> None:
    (trail / "journal").write_bytes(b"audit-j2")


def _a_folder(trail: Path) -> None:
    (trail / "journal").unlink()
    (trail / "journal").mkdir()


@pytest.mark.parametrize("damage", [_noise, _short, _a_folder], ids=["noise", "short", "a folder"])
@pytest.mark.parametrize("name", TRAILS)
def test_a_damaged_journal_stops_no_other_verdict(
    root: Path, provider: LocalKeyring, damage: Callable[[Path], None], name: str
) -> None:
    """Its own trail has the problem, the control plane's too; all others are judged, with their heads."""
    damage(root / name)

    assert codes(check_trails(root.parent.parent, provider)) == {**dict.fromkeys(TRAILS), name: "audit-journal"}


def test_a_log_that_cannot_be_read_stops_no_other_verdict(root: Path, provider: LocalKeyring) -> None:
    """A folder where a day's file should be."""
    log = next((root / "osaka-1").glob("*.log"))
    log.unlink()
    log.mkdir()

    assert codes(check_trails(root.parent.parent, provider)) == {
        **dict.fromkeys(TRAILS), "osaka-1": "audit-unreadable",
    }  # fmt: skip


def test_heads_before_a_break_still_count(root: Path, provider: LocalKeyring) -> None:
    """A control plane whose trail is cut in its last record misses no trail that it had heard of before."""
    log = next((root / "control-plane").glob("*.log"))
    data = bytearray(log.read_bytes())
    data[-40] ^= 1
    log.write_bytes(data)
    for path in (root / "osaka-1").iterdir():
        path.unlink()
    found = codes(check_trails(root.parent.parent, provider))

    assert found["control-plane"] is not None
    assert found["osaka-1"] == "audit-truncated"


def test_a_control_plane_has_a_trail(root: Path, provider: LocalKeyring) -> None:
    """Where its data is and its trail is not, nothing of the other trails' ends is known."""
    data = root.parent.parent
    (data / "control-plane").mkdir()
    for path in (root / "control-plane").iterdir():
        path.unlink()

    assert codes(check_trails(data, provider))["control-plane"] == "audit-missing"


def test_no_trail_at_all_is_named_with_its_folder(tmp_path: Path, provider: LocalKeyring) -> None:
    """And the option that names another one."""
    with pytest.raises(Rejected, match=rf"{tmp_path}.*--data") as caught:
        check_trails(tmp_path, provider)
    assert caught.value.code == "audit-unknown"
