"""The gate: a finished component imports nothing it may not, and exports its world, no less and no more."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder.gate import LEFTOVER_EXPORTS, Surface, check_imports, check_pinned, pass_gate, world_surface
from builder.toolchain import targets_world
from consent_core.errors import Rejected
from tests.conftest import ROOT, Components

WIT = ROOT / "wit"
CLOCK = '(import "wasi:clocks/monotonic-clock@0.2.9" (instance (export "now" (func (result u64)))))'
REFUSED = {
    "imports the WASI clock": (f"(component {CLOCK})", "imports wasi:clocks/monotonic-clock@0.2.9"),
    "imports a host function": ('(component (import "peek" (func (result u32))))', "imports peek"),
    "imports the verifier that should be inside": (
        '(component (import "consent-edge:functions/signature@0.1.0" (instance)))',
        "imports consent-edge:functions/signature@0.1.0",
    ),
    "exports nothing": ("(component)", "exports ()"),
    "exports another thing": ('(component (instance $i) (export "other:thing/x@1.0.0" (instance $i)))', "exports ("),
    "exports the name without the function": (
        '(component (instance $i) (export "consent-edge:functions/consent@0.1.0" (instance $i)))',
        "does not fit consent-validation-finished",
    ),
}


def component(directory: Path, text: str) -> Path:
    """A component file from its text form."""
    (directory / "demo.wat").write_text(text)
    tool = Path(sys.executable).parent / "wasm-tools"
    subprocess.run([tool, "parse", directory / "demo.wat", "-o", directory / "demo.wasm"], check=True)
    return directory / "demo.wasm"


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message names what is too much or missing."""
    with pytest.raises(Rejected) as refusal:
        pass_gate(component(tmp_path, text), WIT, "consent-validation-finished")

    assert refusal.value.code == "build-gate"
    assert message in refusal.value.message


def test_leftovers_pass_only_where_they_are_expected(tmp_path: Path) -> None:
    """A component that could not be linked keeps the interface in which componentize-py describes it to itself."""
    (tmp_path / "wit").mkdir()
    (tmp_path / "wit" / "world.wit").write_text("package test:gate;\nworld closed {}\n")
    built = component(tmp_path, '(component (instance $i) (export "exports" (instance $i)))')

    assert pass_gate(built, tmp_path / "wit", "closed", leftovers=LEFTOVER_EXPORTS).exports == ("exports",)
    with pytest.raises(Rejected, match="exports"):
        pass_gate(built, tmp_path / "wit", "closed")


def test_more_exports_than_the_world_are_refused(tmp_path: Path) -> None:
    """`wasm-tools component targets` alone lets them pass."""
    (tmp_path / "wit").mkdir()
    (tmp_path / "wit" / "world.wit").write_text("package test:gate;\nworld closed {}\n")
    built = component(tmp_path, '(component (instance $i) (export "extra:door/open@1.0.0" (instance $i)))')

    targets_world(built, tmp_path / "wit", "closed")
    with pytest.raises(Rejected, match="extra:door/open"):
        pass_gate(built, tmp_path / "wit", "closed")


@pytest.mark.parametrize(
    ("name", "world", "interface"),
    [
        ("consent_validation", "consent-validation-finished", "consent-edge:functions/consent@0.1.0"),
        ("personalization", "edge-personalization", "consent-edge:functions/personalization@0.1.0"),
    ],
)
def test_the_built_components_pass(components: Components, name: str, world: str, interface: str) -> None:
    """No import at all, and the one interface of the world: what componentize-py adds for itself is gone."""
    surface = pass_gate(components[name] / f"{name}.wasm", WIT, world)

    assert surface == Surface((), (interface,))


def test_a_component_of_another_world_is_refused(components: Components) -> None:
    """A good component in the wrong place."""
    with pytest.raises(Rejected, match="edge-personalization says"):
        pass_gate(components["consent_validation"] / "consent_validation.wasm", WIT, "edge-personalization")


def test_imports_are_allowed_by_package() -> None:
    """What the trust file names passes, anything else is named in the refusal."""
    check_imports("edge_http", ("wasi:http/types@0.2.0", "wasi:io/streams@0.2.0"), ("wasi:http", "wasi:io"))

    with pytest.raises(Rejected, match="wasi:sockets/tcp"):
        check_imports("edge_http", ("wasi:sockets/tcp@0.2.0",), ("wasi:http", "wasi:io"))
    with pytest.raises(Rejected, match="may import nothing"):
        check_imports("demo", ("wasi:io/streams@0.2.0",), ())


def test_an_unknown_world_is_refused() -> None:
    """A spelling mistake in function.toml is not an empty world."""
    with pytest.raises(Rejected, match="no world personalisation"):
        world_surface(WIT, "personalisation")


def test_pinned_imports_are_exact() -> None:
    """A component built on WASI asks for exactly what its function.toml says: no interface more, none less."""
    pinned = ("wasi:http/types@0.2.9", "wasi:io/poll@0.2.9")
    check_pinned("edge", pinned, pinned)
    for found in ((*pinned, "wasi:sockets/tcp@0.2.9"), pinned[:1]):
        with pytest.raises(Rejected, match=r"function\.toml says otherwise"):
            check_pinned("edge", found, pinned)
