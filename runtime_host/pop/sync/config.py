"""What the sync room is told at the start. Times are seconds on `Clock.elapsed` unless said otherwise."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """How one POP follows the control plane. Raises: ValueError if the bound could not be kept."""

    pop: str  # its id, as in its status reports
    home: Path  # this POP's own directory: last good bundle and keys
    trust_file: Path | None = None  # read again when it is replaced; None: the trust of the start stays
    poll_s: float = 5.0  # between numbered polls; the worst delay when push is cut off
    retry_s: float = 1.0  # after a failed poll; also how soon a partition is healed
    timeout_s: float = 5.0  # for one whole request
    fresh_s: float = 60.0  # DESIGN section 4: older than this is not in sync
    push: bool = True  # listen to the stream; without it the poll alone carries everything
    push_url: str | None = None  # a NATS server to listen to instead
    push_silence_s: float = 45.0  # a stream that says nothing for so long is dead; three of its pings
    bundle_s: float = 30.0  # between conditional fetches of the policy bundle, besides those the log asks for
    wanted_s: float = 1.0  # between syncs that unknown policy hashes ask for
    keys_s: float = 60.0  # between fetches of the token keys
    keys_wanted_s: float = 5.0  # between fetches that unknown key ids ask for
    learn_s: float = 0.5  # that a visitor waits for one of those
    status_s: float = 15.0  # between status reports, besides those after a change
    sweep_s: float = 60.0  # between sweeps of what ran out

    def __post_init__(self) -> None:
        if not 0 < self.poll_s + self.timeout_s < self.fresh_s:
            raise ValueError("poll_s and timeout_s together must be less than fresh_s")
