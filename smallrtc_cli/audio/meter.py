"""How loud it is just now, from the levels of the pieces that pass. Pure: the time is an argument."""

import math
from collections import deque

SILENCE = float("-inf")

_PIECES = 3
"Pieces of 20 ms over which a level is averaged."

_STALE = 0.5
"Seconds without a piece after which it is silent."


class Meter:
    """Keeps the levels of the last 60 ms."""

    def __init__(self) -> None:
        self._powers: deque[float] = deque(maxlen=_PIECES)
        self._noted = 0.0

    def note(self, dbfs: float, now: float) -> None:
        """A piece of that level passes at `now`."""
        self._powers.append(10 ** (dbfs / 10))
        self._noted = now

    def level(self, now: float) -> float:
        """In dBFS RMS; −inf for silence, and where nothing has passed for a while."""
        if not self._powers or now - self._noted > _STALE:
            return SILENCE
        power = math.fsum(self._powers) / len(self._powers)
        return 10 * math.log10(power) if power else SILENCE
