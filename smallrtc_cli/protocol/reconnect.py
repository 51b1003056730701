"""How often and how late the dialing side dials again: a value that counts.

The first try of a series goes out at once, each later one waits longer, and after the last one `next_delay` returns
None. A connection that came up ends the series.
"""

from smallrtc_cli.config import Redial

_MOST_STEPS = 20
"Growth beyond that is more than any delay, and in the end more than a float."


class Reconnect:
    """The back-off of one conversation."""

    def __init__(self, settings: Redial | None = None) -> None:
        self._settings = settings or Redial()
        self._most = self._settings.attempts
        self.tries = 0

    def next_delay(self) -> float | None:
        """Seconds to wait before the next try, or None when all of them were used up."""
        if self.tries >= self._most:
            return None
        self.tries += 1
        if self.tries == 1:
            return 0.0
        first, growth = self._settings.first_delay, self._settings.growth ** min(self.tries - 2, _MOST_STEPS)
        return float(max(first, min(first * growth, self._settings.longest_delay)))

    def succeeded(self) -> None:
        """The connection is up; the next failure starts a new series."""
        self.tries, self._most = 0, self._settings.attempts

    def wanted(self) -> None:
        """Somebody asks for it: then there is a try also where a break is not answered by any."""
        self._most = max(self._settings.attempts, 1)

    def give_up(self) -> None:
        """The other side said no; asking again would not change that."""
        self.tries = self._most
