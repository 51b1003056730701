"""When what has come is acknowledged, as a value: no clock, no socket.

A sender's window grows with each acknowledgement (RFC 9260 section 7.2.1), so every packet gets one as long as they are
few: over 100 ms of path aiortc's window opens four times as fast as with one for every fourth. In a rush, every fourth
packet, or what has come within `DELAY`, costs half as much; RFC 9260 section 6.2 has every second one, or 200 ms.
"""

from typing import Final

DELAY: Final = 0.001
"Seconds that an acknowledgement is held back at most."

_TOGETHER: Final = 4

_RUSH: Final = 100
_PERIOD: Final = 0.1
"So many packets in so many seconds are a rush."


class Acknowledging:
    """Told of each packet, it says whether to acknowledge at once."""

    def __init__(self) -> None:
        self.waiting = 0
        "Packets that are not acknowledged."
        self._began, self._packets = 0.0, 0

    def packet(self, now: float, urgent: bool) -> bool:
        """A packet has come; `urgent`: it tells the sender something beside that it has."""
        if now - self._began > _PERIOD:
            self._began, self._packets = now, 0
        self._packets += 1
        self.waiting += 1
        return urgent or self._packets <= _RUSH or self.waiting >= _TOGETHER

    def acknowledged(self) -> None:
        """All that has come."""
        self.waiting = 0
