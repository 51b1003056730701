"""One whole piece of sound in another format, as when a track or a stream changes over to another rate.

What flows goes through `pcm.Converter`, which keeps what it needs of the sound before. A piece that stands alone is
mirrored at its ends and resampled through its spectrum: nothing is delayed, nothing rings at the ends.
"""

from math import gcd

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"Of shape `(n, channels)`."


def converted(samples: Samples, rate: int, to_rate: int, to_channels: int) -> Samples:
    """As many samples as last as long, rounded up; what only the higher rate can hold is lost."""
    return at_rate(with_channels(samples, to_channels), rate, to_rate)


def with_channels(samples: Samples, channels: int) -> Samples:
    """One channel on both sides, or both sides at half their level."""
    if samples.shape[1] == channels:
        return samples
    if channels == 2:
        return np.repeat(samples, 2, axis=1)
    halves = samples >> 1
    return halves[:, :1] + halves[:, 1:]


def at_rate(samples: Samples, rate: int, to_rate: int) -> Samples:
    """See `converted`."""
    if rate == to_rate or not len(samples):
        return samples
    step = rate // gcd(rate, to_rate)
    whole = np.pad(samples, ((0, -len(samples) % step), (0, 0)), mode="edge").astype(np.float64)
    mirrored = np.concatenate((whole, whole[::-1]))
    length = len(mirrored) * to_rate // rate
    sound = np.fft.irfft(np.fft.rfft(mirrored, axis=0), length, axis=0) * (length / len(mirrored))
    return np.clip(np.rint(sound[: -(-len(samples) * to_rate // rate)]), -32768, 32767).astype(np.int16)
