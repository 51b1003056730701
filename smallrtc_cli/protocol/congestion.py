"""How much a sender may have on its way (RFC 9260 section 7.2), as a value: no clock, no socket. Sizes are in bytes."""

import math
from typing import Final

BURST: Final = 32
"Chunks that are sent at once: what fits an acknowledgement of many."

LEAST_BOOKED: Final = 400
"What a short chunk counts for: the system books 768 bytes for its datagram, and 2304 for that of a full one."

_FIRST: Final = 10
"Chunks before the first acknowledgement (RFC 6928)."

_IN_BUFFER: Final = 128
"""Datagrams that the other side's socket surely holds: of the 256 KiB that aioice asks for Linux grants 208, doubles
them, and books 2304 bytes for each: 184, and sound and pictures come the same way. What is beyond is lost, at once."""

_READ_EVERY: Final = 0.02
"Seconds within which the other side reads its socket; what is on its way for longer is not all in the buffer."


def most_in_flight(chunk: int, round_trip: float, advertised: int) -> int:
    """What a window is bounded by: the other side's socket, and what it says that it has room for."""
    crowd = _IN_BUFFER * max(1.0, round_trip / _READ_EVERY)
    return max(chunk, min(int(crowd * chunk), advertised))


class Window:
    """The congestion window."""

    def __init__(self, chunk: int) -> None:
        self.size = _FIRST * chunk
        self._threshold = math.inf
        self._counted = 0

    def acknowledged(self, done: int, chunk: int) -> None:
        """So much was acknowledged while the window was full: slow start, or one chunk a round trip."""
        if self.size <= self._threshold:
            self.size += min(done, BURST * chunk)
            return
        self._counted += done
        if self._counted >= self.size:
            self._counted -= self.size
            self.size += chunk

    def lost(self, chunk: int) -> None:
        """Something was lost, and what came behind it was not."""
        self._threshold = max(self.size // 2, 4 * chunk)
        self.size, self._counted = int(self._threshold), 0

    def expired(self, chunk: int) -> None:
        """Nothing was acknowledged for long."""
        self.lost(chunk)
        self.size = chunk

    def bound(self, most: int) -> None:
        """It is never larger than that."""
        self.size = min(self.size, most)
