"""The sound that is sent: one chirp after the other, no two alike, and where each is in what came back.

A chirp is short, so that a lost packet spoils one or two; it glides through random pitches, so that its place is known
to a sample and not taken for another chirp's; all is below 3.6 kHz, which every server's resampling keeps.
"""

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
LENGTH = RATE * 40 // 1000
"Samples of one chirp."

_DECIMATION = 3
"Locating is done at 16 kHz: nothing that was sent is lost, and it takes a tenth of the time."

_LOWEST, _HIGHEST = 300.0, 3600.0  # Hz
_PITCHES = 6
"So many in 40 ms: fewer, and some chirps are much alike."

_LEVEL = 0.25
_FADE = RATE // 500  # 2 ms
_LIKENESS = 0.65
"Normalised correlation from which on a chirp counts as found; two different ones within seconds reach 0.56."

Sound = NDArray[np.float32]


def signal(seconds: float) -> Sound:
    """The sound, mono between -1 and 1; a longer one begins like a shorter one."""
    random = np.random.RandomState(7)  # the legacy generator: its stream is frozen
    chirps = [_chirp(random.uniform(_LOWEST, _HIGHEST, _PITCHES)) for _ in range(round(seconds * RATE / LENGTH))]
    return np.concatenate(chirps).astype(np.float32)


def _chirp(pitches: NDArray[np.float64]) -> NDArray[np.float64]:
    place = np.arange(LENGTH)
    pitch = np.interp(place, np.linspace(0, LENGTH, len(pitches)), pitches)
    envelope = np.minimum(1, np.minimum(place, place[::-1]) / _FADE)
    return _LEVEL * envelope * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)


def locate(chirp: Sound, sound: Sound) -> int | None:
    """The sample of `sound` at which `chirp` begins, to a 16 kHz sample, or None if it is not in there whole."""
    template, within = chirp[::_DECIMATION].astype(np.float64), sound[::_DECIMATION].astype(np.float64)
    if len(within) < len(template):
        return None
    likeness = _correlation(template, within)
    best = int(np.argmax(likeness))
    return best * _DECIMATION if likeness[best] >= _LIKENESS else None


def _correlation(template: NDArray[np.float64], within: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised: 1 where `within` is a multiple of the template."""
    size = 1 << int(len(within) + len(template)).bit_length()
    product = np.fft.rfft(within, size) * np.conj(np.fft.rfft(template, size))
    lags = np.fft.irfft(product, size)[: len(within) - len(template) + 1]
    energy = np.concatenate([[0.0], np.cumsum(within**2)])
    here = np.sqrt(np.maximum(energy[len(template) :] - energy[: -len(template)], 1e-9))
    floor = 0.05 * float(np.max(here))  # what is all but silent is like anything
    return np.asarray(lags / np.maximum(here, floor) / max(float(np.linalg.norm(template)), 1e-9))
