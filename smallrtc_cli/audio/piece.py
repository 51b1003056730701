"""A moment of sound on its way through a call: samples, what they are, and where in time they belong."""

from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.pcm import to_av_frame


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Cheap to hand on, where a libav frame costs as much as decoding; it becomes one for those who ask."""

    samples: NDArray[np.int16]
    "Shape `(n, channels)`."

    rate: int
    "Hz."

    position: int
    "Samples per channel before it, since the track began; gaps are time in which nothing came."

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def frame(self) -> av.AudioFrame:
        """As libav's packed s16, its `pts` the position."""
        return to_av_frame(self.samples.tobytes(), self.rate, self.channels, self.position)
