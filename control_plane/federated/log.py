"""A line for each verdict: `logs/fl/<region>/<date>.ndjson` in the data directory. No count, loss or norm."""

import json
from dataclasses import dataclass
from pathlib import Path

from consent_core.formats.days import day_of


@dataclass(frozen=True, slots=True)
class VerdictLog:
    """Appends lines. Losing one loses a line of a diary: verdicts themselves are in the store and the audit trail."""

    home: Path

    def write(self, region: str, at: int, **members: str) -> None:
        """One line; `region` is a name that a certificate holds, so it is no path."""
        path = self.home / region / f"{day_of(at)}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": at, **members}, separators=(",", ":")) + "\n")
