"""The band that the analysis works in: 60 Hz to 7.4 kHz at 16 kHz, what a bot with 16 kHz sound can return at all.

Pure FFT work on whole sounds: no delay, no wobble of phase, and any ratio of rates.
"""

from math import gcd

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BAND_RATE = 16_000
EDGES = (60.0, 100.0, 7000.0, 7400.0)
"Hz: where the band begins to open, is open, begins to close, is closed; soft, so that the edges do not ring."


def fast_length(least: int) -> int:
    """The next length of the form 2^a, 3·2^a or 5·2^a: quick to transform."""
    sizes = (odd << max(0, (-(-least // odd) - 1).bit_length()) for odd in (1, 3, 5, 9, 15))
    return min(size for size in sizes if size >= least)


def in_band(sound: Floats, rate: int, made: int = 1, played: int = 1) -> Floats:
    """The band of a mono `sound`, shape `(n,)`, at `BAND_RATE`; the same instants.

    With `made` and `played`, as it sounds when samples made for `made` Hz are played at `played` Hz.
    """
    shared = gcd(rate * played, BAND_RATE * made)
    down, up = rate * played // shared, BAND_RATE * made // shared
    groups = fast_length(-(-len(sound) // down) + 1)
    spectrum = np.fft.rfft(sound, groups * down)
    bins = groups * up // 2 + 1
    kept = np.zeros(bins, np.complex128)
    common = min(bins, len(spectrum))
    kept[:common] = spectrum[:common] * _passing(common, BAND_RATE / (groups * up))
    return np.fft.irfft(kept, groups * up)[: len(sound) * up // down] * (up / down)


def _passing(bins: int, width: float) -> Floats:
    """A gain between 0 and 1 for each bin, `width` Hz apart: raised-cosine edges."""
    frequency = np.arange(bins) * width
    opening = np.clip((frequency - EDGES[0]) / (EDGES[1] - EDGES[0]), 0, 1)
    closing = np.clip((EDGES[3] - frequency) / (EDGES[3] - EDGES[2]), 0, 1)
    return np.asarray(np.sin(np.pi / 2 * opening) ** 2 * np.sin(np.pi / 2 * closing) ** 2)


def running_energy(sound: Floats, length: int) -> Floats:
    """The energy of every stretch of `length` samples: shape `(n - length + 1,)`."""
    total = np.concatenate([[0.0], np.cumsum(sound**2)])
    return np.asarray(np.maximum(total[length:] - total[:-length], 0.0))


def at_positions(sound: Floats, positions: Floats, reach: int = 8) -> Floats:
    """The sound, shape `(n, channels)`, between its samples: windowed sinc with `2 * reach` taps; zero outside."""
    whole = np.floor(positions).astype(np.int64)
    taps = np.arange(1 - reach, reach + 1)
    distance = (positions - whole)[:, None] - taps
    weights = np.sinc(distance) * np.cos(np.pi / 2 * distance / (reach + 0.5)) ** 2
    index = whole[:, None] + taps
    weights[(index < 0) | (index >= len(sound))] = 0.0
    taken = sound[np.clip(index, 0, len(sound) - 1)]
    return np.asarray(np.einsum("pt,ptc->pc", weights, taken), np.float64)
