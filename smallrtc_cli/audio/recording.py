"""A recording: what passed a point of the path, and when."""

from bisect import bisect_right
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Recording:
    """Sound with a clock.

    `samples` has shape `(n, channels)`, `rate` is in Hz. `marks` are pairs of the index of the first sample of a frame
    and its monotonic time in seconds, ascending; a sample's time is its frame's time plus its offset in the frame.
    """

    samples: NDArray[np.int16]
    rate: int
    marks: tuple[tuple[int, float], ...]

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def began(self) -> float:
        """The monotonic time of the first sample, as most frames have it: the first ones may be from before a gap."""
        return median(time - index / self.rate for index, time in self.marks)

    def time_of(self, position: float) -> float:
        """The monotonic time of a position in samples; before the first mark it is reckoned back from it."""
        nearest = bisect_right(self.marks, position, key=lambda mark: mark[0]) - 1
        index, time = self.marks[max(nearest, 0)]
        return time + (position - index) / self.rate
