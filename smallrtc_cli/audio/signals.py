"""Sounds that are made, not recorded: the measuring signal, a tone, a noise.

Pure and deterministic: the same arguments give the same samples on every machine. Everything returns int16 of shape
`(n, channels)`; levels are dBFS RMS (0 dBFS RMS is a full-scale square wave, so a sine at -18 peaks at -15).

The measuring signal is one gliding tone a channel. An event of 125 ms is a glide between two random pitches at
least an octave apart; no two events are alike, and left and right follow different pitches, so a piece of 0.1 s has one
place only, and swapped or merged channels show. A glide was chosen by measurement: after two passes through Opus
(96 kbit/s stereo "voip") it keeps 27 dB of signal to noise, while noise with a speech-like spectrum keeps 10 and a
gliding buzz 9. Its envelope is constant, so that a gap of a few milliseconds is visible anywhere.
"""

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 32_767

EVENT = 0.125
"Seconds from one pitch to the next: about a syllable."

LOWEST, HIGHEST = 300.0, 4000.0
"Hz: above the high-pass filter of a speech codec, which delays 150 Hz by 0.5 ms less; inside what 16 kHz sound holds."

OCTAVE = np.log(2.0)
FADE = 0.005
"Seconds at either end, against clicks."


def measuring_signal(
    duration: float = 3.0, *, rate: int = 48_000, channels: int = 2, level: float = -18.0
) -> NDArray[np.int16]:
    """The default signal of `smallrtc loopback`: shape `(duration * rate, channels)`, 1 s or longer."""
    if duration < 1:
        raise ValueError("a measuring signal needs at least 1 s")
    count = round(duration * rate)
    glides = [_glide(count, rate, seed) for seed in range(1, channels + 1)]
    return _quantised(np.stack(glides, axis=1) * _faded(count, rate)[:, None], level)


def tone(
    frequency: float, duration: float, *, rate: int = 48_000, channels: int = 1, level: float = -18.0
) -> NDArray[np.int16]:
    """A sine of `frequency` Hz, the same in all channels."""
    time = np.arange(round(duration * rate)) / rate
    sine = np.sin(2 * np.pi * frequency * time)
    return _quantised(np.repeat(sine[:, None], channels, axis=1), level)


def noise(
    duration: float, *, rate: int = 48_000, channels: int = 1, level: float = -18.0, seed: int = 0
) -> NDArray[np.int16]:
    """White Gaussian noise, different in each channel."""
    random = np.random.RandomState(seed)  # the legacy generator: its stream is frozen, a Generator's is not
    return _quantised(random.standard_normal((round(duration * rate), channels)), level)


def silence(duration: float, *, rate: int = 48_000, channels: int = 1) -> NDArray[np.int16]:
    return np.zeros((round(duration * rate), channels), np.int16)


def _glide(count: int, rate: int, seed: int) -> NDArray[np.float64]:
    """One tone of constant level whose pitch runs, linear in log frequency, from one random pitch to the next."""
    event = EVENT * rate
    shift = event / 2 * (seed % 2)  # the channels' corners do not coincide
    pitches = _pitches(int(count / event) + 3, seed)
    corners = np.arange(len(pitches)) * event - shift
    frequency = np.exp(np.interp(np.arange(count), corners, pitches))
    return np.sin(2 * np.pi * np.cumsum(frequency) / rate)


def _pitches(count: int, seed: int) -> list[float]:
    """Random log frequencies, each at least an octave from the one before."""
    random = np.random.RandomState(seed)  # frozen stream, as above
    low, high = np.log(LOWEST), np.log(HIGHEST)
    pitches = [float(random.uniform(low, high))]
    while len(pitches) < count:
        pitch = float(random.uniform(low, high))
        if abs(pitch - pitches[-1]) >= OCTAVE:
            pitches.append(pitch)
    return pitches


def _faded(count: int, rate: int) -> NDArray[np.float64]:
    ramp = np.minimum(np.arange(count), np.arange(count)[::-1]) / (FADE * rate)
    return np.minimum(ramp, 1.0)


def _quantised(sound: NDArray[np.float64], level: float) -> NDArray[np.int16]:
    """Each channel at `level` dBFS RMS, rounded and clipped to int16."""
    rms = np.sqrt(np.mean(sound**2, axis=0, keepdims=True)) if len(sound) else np.ones((1, 1))
    scaled = sound * (FULL_SCALE * 10 ** (level / 20)) / np.maximum(rms, 1e-12)
    return np.clip(np.round(scaled), -FULL_SCALE - 1, FULL_SCALE).astype(np.int16)
