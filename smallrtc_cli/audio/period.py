"""The pitch period of a short sound, and seams at it. Pure."""

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.edges import ramp

Samples = NDArray[np.int16]
"Shape `(n, channels)`."

SHORTEST, LONGEST = 0.0025, 0.015
"Seconds: voices from 400 down to 66 Hz; a higher one repeats within several of its periods."


def period(sound: Samples, shortest: int, longest: int) -> tuple[int, float]:
    """The lag after which the end of `sound` is most like what was before it, and how much: a correlation up to 1.

    What is compared is all that `longest` leaves of the sound, so that must be shorter than it.
    """
    mono = sound.sum(axis=1, dtype=np.float64)
    window = len(mono) - longest
    recent, past = mono[-window:], mono[: len(mono) - shortest]
    energy = np.concatenate(([0.0], np.cumsum(past**2)))
    norm = np.sqrt((energy[window:] - energy[:-window]) * (recent @ recent))
    likeness = np.correlate(past, recent, "valid") / np.maximum(norm, 1.0)
    best = int(np.argmax(likeness))
    return longest - best, float(likeness[best])


def cross_faded(leaving: Samples, entering: Samples, likeness: float = 1.0) -> Samples:
    """From one sound into the other, at a level that stays: two that are unlike would be 3 dB quieter halfway."""
    rising = ramp(len(leaving))
    falling = 1 - rising
    power = rising**2 + falling**2 + 2 * max(likeness, 0.0) * rising * falling
    return as_samples((leaving * falling + entering * rising) / np.sqrt(power))


def as_samples(sound: NDArray[np.float64]) -> Samples:
    """Rounded and clipped."""
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
