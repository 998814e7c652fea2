"""What one page load yields. Times are milliseconds; None means that the page did not report it."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Sample:
    """One page load of one arm."""

    arm: str
    lcp_ms: float | None = None
    lcp_url: str = ""
    cls: float | None = None
    toggle_inp_ms: float | None = None
    inp_ms: float | None = None
    swap_to_paint_ms: float | None = None
    hero_bytes: int = 0
    total_bytes: int = 0
    requests_before_lcp: int = 0
    cache_hits: int = 0
    round: int = 0
    server_timing: dict[str, float] = field(default_factory=dict)
    foreign_cores: float = 0.0
    broken: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it stands in the result file."""
        return asdict(self)


class Broken(Exception):
    """The page did not report what the gate asks for. Never to be read as fast."""
