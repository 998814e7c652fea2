"""What ships beside the packages: `functions/`, `wit/`, `policies/`, `legal/`, `demo/`, `consent_sdk/`, budgets.

    resource("policies")      # in a checkout the folder itself, in a wheel its copy under consent_edge_data/

Everything is found from this file and nothing from the working directory, so a user's own folders of the same names
are never met.
"""

from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[1]  # where consent_core and its neighbours are importable from
_SHIPPED = PACKAGES / "consent_edge_data"

ROOT = _SHIPPED if _SHIPPED.is_dir() else PACKAGES


def resource(path: str) -> Path:
    """A shipped file or folder by its path in the repository."""
    return ROOT / path
