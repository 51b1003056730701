"""Raises a sample rate by a whole number: 24 kHz to 48, 16 to 48, 8 to 16.

A graph of libav's would do it, too, but keeps two threads for each call. One windowed sinc for each of the new samples
between two old ones; images are 70 dB down, and sound is `REACH` old samples late.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

REACH: Final = 16
"Old samples that are looked at to either side of a new one: 0.7 ms at 24 kHz, 2 at 8."

_BETA: Final = 7.0
"Of the Kaiser window; images below 70 dB."


@cache
def _kernels(factor: int) -> NDArray[np.float32]:
    """A row of taps, backwards, for each new sample from an old one on; the first is a plain delay."""
    offsets = np.arange(REACH, -REACH, -1) - np.arange(factor)[:, None] / factor
    shape = np.sqrt(np.clip(1 - (offsets / REACH) ** 2, 0, None))
    taps = np.sinc(offsets) * np.i0(_BETA * shape)
    even: NDArray[np.float64] = taps / taps.sum(axis=1, keepdims=True)
    return even.astype(np.float32)


class Upsampler:
    """Gives `factor` samples for each that comes, of `channels` channels."""

    def __init__(self, factor: int, channels: int) -> None:
        self._kernels = _kernels(factor)
        self._held = np.zeros((2 * REACH - 1, channels), np.int16)

    def resample(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """The next piece, shape `(n, channels)`."""
        source = np.concatenate((self._held, samples))
        self._held = source[len(samples) :]
        by_channel = np.ascontiguousarray(source.T, dtype=np.float32)
        mixed = np.empty((len(samples), len(self._kernels), samples.shape[1]), np.float32)
        mixed[:, 0] = source[REACH - 1 : REACH - 1 + len(samples)]
        for number, taps in enumerate(self._kernels[1:], 1):
            for channel, line in enumerate(by_channel):
                mixed[:, number, channel] = np.convolve(line, taps, "valid")
        raised: NDArray[np.float32] = np.clip(np.rint(mixed), -32768, 32767).reshape(-1, samples.shape[1])
        return raised.astype(np.int16)
