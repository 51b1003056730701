"""Two voices on one time line: left one side of a call, right the other, each where it was heard.

Pure. Pieces of a side follow each other without a seam; where one comes much later than its samples say, there was
silence. What both sides have passed is given out in order, in bounded memory.
"""

import numpy as np
from numpy.typing import NDArray

SEAM = 0.1
"Seconds by which a piece may be late and still follow the one before: jitter is no silence."


class StereoTimeline:
    """Collects mono s16 pieces of two sides, and gives stereo samples of shape `(n, 2)`."""

    def __init__(self, rate: int = 48_000) -> None:
        self._rate = rate
        self._start = 0
        self._ends = [0, 0]
        self._pieces: list[tuple[int, int, NDArray[np.int16]]] = []

    def add(self, side: int, samples: NDArray[np.int16], at: float) -> None:
        """A piece of a side (0 left, 1 right) that was heard `at` seconds after the beginning."""
        arrived = round(at * self._rate)
        position = self._ends[side]
        if abs(arrived - position) > SEAM * self._rate:
            position = max(arrived, self._start, position)
        self._pieces.append((side, position, samples))
        self._ends[side] = position + len(samples)

    def take(self, until: float) -> NDArray[np.int16]:
        """What was heard up to `until` seconds, since the last time; silence where nobody spoke."""
        end = max(round(until * self._rate), self._start)
        stereo = np.zeros((end - self._start, 2), np.int16)
        later = []
        for side, position, samples in self._pieces:
            head = samples[: max(0, end - position)]
            stereo[position - self._start : position - self._start + len(head), side] = head
            if len(head) < len(samples):
                later.append((side, position + len(head), samples[len(head) :]))
        self._pieces, self._start = later, end
        self._ends = [max(each, end) for each in self._ends]
        return stereo
