"""Sound that waits in order: bounded, whole samples of all channels, read as one piece."""

import numpy as np
from numpy.typing import NDArray

_ROOM = 4
"Times its capacity that a ring allocates, so that what it holds rarely has to be moved to the front."


class Ring:
    """A queue of s16 samples; positions count samples per channel. One caller at a time."""

    def __init__(self, capacity: int, channels: int) -> None:
        self._capacity = capacity
        self._samples = np.zeros((_ROOM * capacity, channels), dtype=np.int16)
        self._start = self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    def write(self, samples: NDArray[np.int16]) -> int:
        """Append (n, channels); returns how many of the oldest samples had to go."""
        fits = samples[-self._capacity :]
        dropped = len(samples) - len(fits) + self.drop(len(self) + len(fits) - self._capacity)
        if self._end + len(fits) > len(self._samples):
            held = self.peek(len(self))
            self._samples[: len(held)] = held
            self._start, self._end = 0, len(held)
        self._samples[self._end : self._end + len(fits)] = fits
        self._end += len(fits)
        return dropped

    def peek(self, count: int) -> NDArray[np.int16]:
        """Up to so many of the oldest samples, in place: what is written to them will be read."""
        return self._samples[self._start : min(self._start + count, self._end)]

    def read(self, out: NDArray[np.int16]) -> int:
        """Move the oldest samples into `out`; returns how many there were."""
        piece = self.peek(len(out))
        out[: len(piece)] = piece
        return self.drop(len(piece))

    def drop(self, count: int) -> int:
        """Forget so many of the oldest samples; returns how many there were."""
        count = max(min(count, len(self)), 0)
        self._start += count
        return count
