"""Where received sound belongs in time: RTP timestamps without their wrap-arounds and their sender's new starts. Pure.

Positions count ticks of the RTP clock from the first timestamp on, and never go back. A timestamp that jumps ahead is
a pause, if as much time can have passed; any other jump is a new clock, and says nothing of the time.
"""

_ROUND = 1 << 32
_SLACK = 10.0
"Seconds: what may have waited in the network before the first packet came."

_FASTEST = 1.001
"A sender's clock against ours; 500 ppm are the worst that is known."


class Timeline:
    """`position` is where the next sound begins."""

    def __init__(self, clock_rate: int) -> None:
        self._rate = clock_rate
        self._timestamp: int | None = None
        self._origin = self._began = 0.0
        self.position = 0

    def begin(self, timestamp: int, now: float) -> None:
        """A new sequence: it follows what was before, however long ago that ended."""
        if self._timestamp is None:
            self.position = timestamp
            self._origin, self._began = timestamp, now
        self._timestamp = timestamp

    def gap(self, timestamp: int, now: float, expected: int) -> int:
        """Ticks from `position` to a packet of that timestamp, which came at `now`; `expected` after a new clock."""
        ahead = (timestamp - (self._timestamp or 0) + _ROUND // 2) % _ROUND - _ROUND // 2
        bearable = self._origin + (_SLACK + (now - self._began) * _FASTEST) * self._rate
        possible = 0 <= ahead <= max(bearable - self.position, expected)
        return ahead if possible else expected

    def pass_to(self, position: int, timestamp: int) -> None:
        """Time has passed up to a packet of that timestamp."""
        self.position, self._timestamp = position, timestamp

    def advance(self, ticks: int) -> None:
        """So much sound has been given."""
        self.position += ticks
        self._timestamp = ((self._timestamp or 0) + ticks) % _ROUND
