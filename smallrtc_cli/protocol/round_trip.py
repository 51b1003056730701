"""How long an answer takes, and from when on it is overdue (RFC 9260 section 6.3), as a value: no clock, no socket."""

from typing import Final

FIRST_TIMEOUT: Final = 1.0
"Seconds, before anything was measured."

LONGEST_TIMEOUT: Final = 3.0
"Where doubling ends: as browsers have it, so that a path that comes back is found soon."

_MARGIN: Final = 0.22
"Seconds beside the round trip: an acknowledgement may be held back for 0.2 (RFC 9260 section 6.2)."

_MOST_DOUBLINGS: Final = 8
"More change nothing."

_PROBE_MARGIN: Final = 0.025
"Seconds beside two round trips: another event loop may be busy for as long."


class RoundTrip:
    """Measured round trips, in seconds, and what follows for the timers."""

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self.shortest = 0.0
        self._variation = 0.0
        self.doublings = 0

    def measured(self, seconds: float) -> None:
        """Something that was sent once was acknowledged so much later."""
        self.doublings = 0
        if self.smoothed is None:
            self.smoothed, self.shortest, self._variation = seconds, seconds, seconds / 2
            return
        self._variation += (abs(self.smoothed - seconds) - self._variation) / 4
        self.smoothed += (seconds - self.smoothed) / 8
        self.shortest = min(self.shortest, seconds)

    def expired(self) -> None:
        """The timeout has passed: the next one is twice as long."""
        self.doublings = min(self.doublings + 1, _MOST_DOUBLINGS)

    @property
    def timeout(self) -> float:
        """Seconds after which all that is unacknowledged counts as lost."""
        once = FIRST_TIMEOUT if self.smoothed is None else self.smoothed + max(4 * self._variation, _MARGIN)
        return min(once * float(2**self.doublings), LONGEST_TIMEOUT)

    @property
    def probe_after(self) -> float | None:
        """Seconds of silence after which the last chunk is sent again, to learn what is lost (RFC 8985 section 7).

        None where that would not be sooner than the timeout.
        """
        if self.smoothed is None or self.doublings:
            return None
        after = 2 * self.smoothed + _PROBE_MARGIN
        return after if after < self.timeout else None
