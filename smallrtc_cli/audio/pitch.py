"""By what factor the pitch of a sound has changed, even where its waveform is chopped to pieces.

A bot that takes one rate for another in real time leaves no long piece intact: it drops every second frame, or puts
silence after each. Time runs on, but every spectrum is shifted along a logarithmic axis. So the two log-frequency
spectrograms are laid over each other, and the best shift in time and in frequency is taken. Pure.
"""

from dataclasses import dataclass

import numpy as np

from smallrtc_cli.audio.bands import BAND_RATE, Floats, fast_length

FRAME = 512
"Samples of a spectrum: 32 ms."

HOP = BAND_RATE // 100
BINS = 1024
STEPS = 24
"Steps an octave, 3 % each."

AXIS = 100.0 * 2.0 ** (np.arange(146) / STEPS)
"Hz: six octaves from 100 Hz on, the band."

WIDEST = 2.6
"Octaves: 8 kHz for 48."

EARLIEST, LATEST = -20, 300
"Frames of delay: -0.2 to 3 s."

ALIKE = 0.4
"Likeness of the best shift that counts: chopped half speed has 0.6 to 0.8, a foreign sound 0.25."

CLEARLY = 0.03
"By how much it must surpass shifts farther off than a sixth of an octave: speech has 0.05, the measuring signal 0.25."


@dataclass(frozen=True, slots=True)
class Shift:
    """The factor of the pitch to a few percent, and whether it is beyond doubt."""

    ratio: float
    clear: bool


def pitch_shift(sent: Floats, received: Floats) -> Shift:
    """Compare two mono sounds in the band."""
    here, there = _spectrogram(sent), _spectrogram(received)
    if not here.any() or not there.any():
        return Shift(1.0, clear=False)
    widest = round(WIDEST * STEPS)
    likeness = _likeness(here, there, widest)
    top = int(np.argmax(likeness))
    elsewhere = np.concatenate([likeness[: max(0, top - STEPS // 6)], likeness[top + STEPS // 6 + 1 :]])
    clear = likeness[top] >= ALIKE and likeness[top] - elsewhere.max() >= CLEARLY
    return Shift(float(2.0 ** ((top - widest) / STEPS)), bool(clear))


def _likeness(here: Floats, there: Floats, widest: int) -> Floats:
    """For each shift from `-widest` to `widest` steps, the correlation at the best delay."""
    frames, steps = fast_length(len(here) + len(there)), 2 * len(AXIS)
    transform = np.fft.rfft2(there, (frames, steps)) * np.conj(np.fft.rfft2(here, (frames, steps)))
    surface = np.fft.irfft2(transform, (frames, steps))
    delays = np.arange(EARLIEST, min(LATEST, frames + EARLIEST))
    best = surface[delays].max(axis=0)[np.arange(-widest, widest + 1)]
    return np.asarray(best / np.sqrt(np.sum(here**2) * np.sum(there**2)))


def _spectrogram(sound: Floats) -> Floats:
    """Magnitudes along `AXIS`, shape `(frames, len(AXIS))`: each frame of mean 0, of one weight; silent ones zero."""
    if len(sound) < FRAME:
        return np.zeros((1, len(AXIS)))
    frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP] * np.hanning(FRAME)
    magnitude = np.abs(np.fft.rfft(frames, BINS, axis=1))
    place = AXIS * BINS / BAND_RATE
    low = place.astype(int)
    shape = magnitude[:, low] * (1 - (place - low)) + magnitude[:, low + 1] * (place - low)
    weight = np.sqrt(np.sum(shape**2, axis=1, keepdims=True))
    loud = weight > 0.1 * np.sqrt(np.mean(weight**2))
    even = shape / np.maximum(weight, 1e-9)
    return np.where(loud, even - even.mean(axis=1, keepdims=True), 0.0)
