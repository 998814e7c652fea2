"""What has to exist before anything runs: keys, signed components, painted pictures. Each is made once."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from builder import BuildResult, build
from builder.report import show_progress
from consent_core.trust.keys import KeyStore
from demo.art import PICTURES, make_art

REPOSITORY = Path(__file__).resolve().parents[1]
ART = Path("build/art")
SHOP = REPOSITORY / "demo"
SDK = REPOSITORY / "consent_sdk"


@dataclass(frozen=True, slots=True)
class Stage:
    """The data directory with its keys, and the components that those keys signed."""

    data: Path
    components: Path
    built: list[BuildResult]


def prepare(data: Path, components: Path, console: Console, root: Path = REPOSITORY) -> Stage:
    """Make what is missing, with a progress bar per part. Raises: what the builder raises."""
    store = KeyStore.open(data, create=True)
    with show_progress(console) as progress:
        built = build(
            root=root, out=components, signer=store.current("component"), trust=store.trust_file(), progress=progress
        )
    paint(console)
    return Stage(data, components, built)


def paint(console: Console) -> None:
    """Paint the demo shop's pictures."""
    with console.status("painting pictures …") as status:
        make_art(ART, lambda name: status.update(f"painting pictures … {name} ({len(PICTURES)} in all)"))
