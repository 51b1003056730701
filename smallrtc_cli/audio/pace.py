"""How regularly pieces of sound come: their lateness, measured against the earliest of the last seconds.

A piece of n seconds should come n seconds after the one before. What comes as early as any draws the line; all else
is late by so much. The line forgets after `WINDOW` pieces, so it follows a clock that drifts and a network whose
delay has changed. After a break a new `Pace` begins.
"""

import numpy as np
from numpy.typing import NDArray

WINDOW = 256
"Pieces: 5 s of 20 ms ones. A clock 500 ppm off shifts the line by 2.6 ms meanwhile."

_COMMON = 0.995
"The share of pieces that `spread` covers: one in the window may be later."


class Pace:
    """The arrivals of a stream, or the requests of a device; everything in seconds, of one monotonic clock."""

    def __init__(self) -> None:
        self._offsets = np.zeros(WINDOW)
        self._count = 0
        self._elapsed = 0.0
        self.last = float("-inf")
        "When the latest piece came."

    def note(self, seconds: float, now: float) -> None:
        """A piece of that length has come."""
        self._elapsed += seconds
        self._offsets[self._count % WINDOW] = now - self._elapsed
        self._count += 1
        self.last = now

    @property
    def due(self) -> float:
        """When the latest piece would have come, had it been as early as any."""
        return self._earliest + self._elapsed

    @property
    def spread(self) -> float:
        """How late pieces come, but for one in 200."""
        known = self._known
        if not known.size:
            return 0.0
        rank = int(np.ceil(_COMMON * known.size)) - 1
        return float(np.partition(known, rank)[rank] - known.min())

    @property
    def _known(self) -> NDArray[np.float64]:
        return self._offsets[: min(self._count, WINDOW)]

    @property
    def _earliest(self) -> float:
        return float(self._known.min()) if self._count else 0.0
