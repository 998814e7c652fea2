"""Throttling by name. A result without its profile's name means nothing."""

from dataclasses import dataclass

from playwright.sync_api import ViewportSize

KBIT = 1000 / 8  # bytes per second


@dataclass(frozen=True, slots=True)
class Profile:
    """What CDP applies to each request: latency (ms), throughput (bytes/s), and a CPU slow-down factor."""

    name: str
    latency_ms: float
    download: float
    upload: float
    cpu: float


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("cdp-150ms-1.6mbit-cpu4", 150, 1600 * KBIT, 750 * KBIT, 4),
        # Lighthouse's "Slow 4G" as DevTools applies it: 150 ms x 3.75, 1638.4 kbit/s x 0.9, 750 kbit/s x 0.9.
        Profile("devtools-slow4g", 562.5, 1474.56 * KBIT, 675 * KBIT, 4),
        Profile("none", 0, -1, -1, 1),
    )
}

# Lighthouse's emulated phone: 412 x 823 CSS pixels at 1.75.
VIEWPORT: ViewportSize = {"width": 412, "height": 823}
DEVICE_SCALE = 1.75
