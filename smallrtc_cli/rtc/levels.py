"""How loud a track is just now: nothing is computed until somebody asks."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.pcm import level_dbfs

_PIECES = 5
"Pieces of 20 ms: the interval over which W3C's `audioLevel` is averaged is ours to choose."

_STALE = 0.5
"Seconds without any after which a track counts as silent."


class RecentSound:
    """Keeps the last 100 ms of what passes; before anybody has asked just the last piece.

    Each is 4 KB, and at most sessions nobody looks.
    """

    def __init__(self) -> None:
        self._pieces: deque[NDArray[np.int16]] = deque(maxlen=1)
        self._noted = 0.0

    def note(self, samples: NDArray[np.int16], now: float) -> None:
        """Sound passes at `now`; its memory must stay as it is."""
        self._pieces.append(samples)
        self._noted = now

    def level(self, now: float) -> float | None:
        """Root mean square, 0 to 1 (a full-scale square wave); None before there was any sound."""
        if not self._pieces:
            return None
        if now - self._noted > _STALE:
            return 0.0
        if self._pieces.maxlen != _PIECES:
            self._pieces = deque(self._pieces, _PIECES)
        samples = np.concatenate([piece.reshape(-1) for piece in self._pieces])
        return float(10 ** (level_dbfs(samples) / 20))
