"""How old the control plane's last good word is. Counted from when its poll was *sent*, so that a slow or held-back
answer is as old as it is, and on `Clock.elapsed`, which counts suspend and knows no wall clock.
"""

from consent_core.clock import Clock


class Freshness:
    """The age of the last good answer. `_sent`: `elapsed` of its poll, None before the first and after an alarm."""

    def __init__(self, clock: Clock, fresh_s: float) -> None:
        self._clock = clock
        self._fresh_s = fresh_s
        self._sent: float | None = None
        self._signed_at: int | None = None
        self._received = 0.0

    def renew(self, sent: float, signed_at: int) -> None:
        """A good answer that reaches the log's head: its poll was sent then, the log's own time was `signed_at`.

        Polls follow each other (`follower` has one under way), so a later call never means an earlier poll.
        """
        self._sent = sent
        self._signed_at, self._received = signed_at, self._clock.elapsed()

    def lose(self) -> None:
        """Nothing may be believed until the next good answer."""
        self._sent = None

    def fresh(self) -> bool:
        """Whether the last good answer is young enough."""
        return self._sent is not None and self._clock.elapsed() - self._sent < self._fresh_s

    @property
    def sent(self) -> float | None:
        """`elapsed` when the poll of the last good answer was sent."""
        return self._sent

    @property
    def signed_offset(self) -> float | None:
        """What to add to `elapsed` for the control plane's time."""
        return None if self._signed_at is None else self._signed_at - self._received

    def age(self) -> float | None:
        """Seconds since the poll of the last good answer was sent."""
        return None if self._sent is None else self._clock.elapsed() - self._sent

    def signed_now(self) -> int | None:
        """The control plane's time now, as far as it can be known: what it last signed plus what has passed since."""
        return None if self._signed_at is None else self._signed_at + int(self._clock.elapsed() - self._received)

    def now(self) -> int:
        """The wall clock, or the control plane's signed time where that is later: expired stays expired."""
        return max(self._clock.now(), self.signed_now() or 0)

    def clock_off(self) -> int:
        """By how many seconds the wall clock is ahead of the control plane's signed time; 0 where none is known."""
        signed = self.signed_now()
        return 0 if signed is None else self._clock.now() - signed
