"""A piece of sound with its place: what passes through a call, where a libav frame would cost as much as a codec."""

from typing import Final, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.pcm import to_av_frame

TICKS: Final = 48_000
"A second, in which pieces of all rates have their place: a multiple of every rate that a codec has."


class Piece(NamedTuple):
    """Some sound of any length."""

    samples: NDArray[np.int16]
    "Of shape `(n, channels)`."

    rate: int
    "Hz."

    position: int
    "Of the first sample, in `TICKS`; only grows, and a gap is time in which nothing was said."

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def frame(self) -> av.AudioFrame:
        """A copy as libav's packed s16, its `pts` the position in samples."""
        return to_av_frame(self.samples.tobytes(), self.rate, self.channels, self.position * self.rate // TICKS)
