"""What a deployment promises about the delay of a "no", and how a share of delays is read."""

import math
from collections.abc import Sequence

BOUND_S = 60.0  # DESIGN section 4: the consent sync bound; a POP out of sync for longer personalises nothing
AIM_S = 1.0  # DESIGN section 6: sync delay P99 with push


def quantile_of(delays: Sequence[float], q: float) -> float | None:
    """The smallest observed value that a share `q` does not exceed; None if there is none, or never."""
    if not delays:
        return None
    value = sorted(delays)[max(0, math.ceil(q * len(delays)) - 1)]
    return round(value, 4) if math.isfinite(value) else None
