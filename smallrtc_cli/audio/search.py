"""Where a piece of a sound lies in another one: normalised cross-correlation by FFT, peaks, and a first delay.

Pure; positions are in samples of the band (`bands.BAND_RATE`).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from smallrtc_cli.audio.bands import BAND_RATE, Floats, fast_length, running_energy

FLOOR = 1e-3
"Of the mean power: a stretch that is quieter than this (-30 dB) cannot be told from silence and matches nothing."

PROBE = BAND_RATE // 4
"Samples of a first probe: a quarter of a second lies between two losses even on a bad path."

PROBES = 8
APART = BAND_RATE * 60 // 1000
"A second peak within 60 ms may be the same piece on the other side of a lost packet; farther off it is a doubt."

LIKELY = 0.3
"Correlation of a probe that may have been found; what makes it certain, the caller knows."

DOUBT = 0.75
"A second peak above this part of the first makes a probe ambiguous."


@dataclass(frozen=True, slots=True)
class Peak:
    """A place, its correlation (0 to 1), and the correlation of the best place elsewhere."""

    position: float
    height: float
    second: float


@dataclass(frozen=True, slots=True)
class Match:
    """How a probe was found: its place in the sent and in the received sound."""

    sent: int
    received: float
    height: float


class Ground:
    """A sound that pieces are sought in; its transform is made once.

    `floor` is the power per sample below which a stretch counts as silence.
    """

    def __init__(self, sound: Floats, floor: float) -> None:
        self._sound = sound
        self._floor = floor
        self._size = fast_length(len(sound))
        self._spectrum = np.fft.rfft(sound, self._size)

    def __len__(self) -> int:
        return len(self._sound)

    def correlation(self, piece: Floats) -> Floats:
        """Normalised cross-correlation of `piece` at every position: shape `(len(sound) - len(piece) + 1,)`."""
        product = self._spectrum * np.conj(np.fft.rfft(piece, self._size))
        raw = np.fft.irfft(product, self._size)[: len(self._sound) - len(piece) + 1]
        energy = np.maximum(running_energy(self._sound, len(piece)), self._floor * len(piece))
        return np.asarray(raw / np.sqrt(energy * max(float(piece @ piece), 1e-12)))


def highest(curve: Floats, apart: int, near: float | None = None, bonus: float = 0.0) -> Peak:
    """The highest peak; with `near`, the one within `apart` of it unless another is higher by more than `bonus`."""
    top = int(np.argmax(curve))
    if near is not None:
        low, high = max(0, round(near) - apart), max(0, round(near) + apart + 1)
        beside = curve[low:high]
        if len(beside) and beside.max() >= curve[top] - bonus:
            top = low + int(np.argmax(beside))
    rest = np.concatenate([curve[: max(0, top - apart)], curve[top + apart + 1 :]])
    second = float(rest.max()) if len(rest) else 0.0
    return Peak(_between(curve, top), float(curve[top]), second)


def _between(curve: Floats, top: int) -> float:
    """The vertex of the parabola through a peak and its neighbours."""
    if not 0 < top < len(curve) - 1:
        return float(top)
    left, middle, right = (float(value) for value in curve[top - 1 : top + 2])
    bend = left - 2 * middle + right
    return top + (0.5 * (left - right) / bend if bend < 0 and middle >= max(left, right) else 0.0)


def silence_floor(sound: Floats) -> float:
    return FLOOR * float(np.mean(sound**2)) if len(sound) else 0.0


def first_matches(sent: Floats, received: Ground) -> list[Match]:
    """The probes of `sent` that are found in `received`, in order; empty when nothing can be recognised."""
    length = min(PROBE, len(sent) // 2)
    if length < PROBE // 4 or len(received) < length:
        return []
    found = []
    for start in _probes(sent, length):
        peak = highest(received.correlation(sent[start : start + length]), APART)
        if peak.height >= LIKELY and peak.second < DOUBT * peak.height:
            found.append(Match(start, peak.position, peak.height))
    return found


def _probes(sent: Floats, length: int) -> list[int]:
    """The start of the strongest stretch of each of several equal parts of the sound; silent parts give none."""
    energy = running_energy(sent, length)
    loud = FLOOR * 10 * float(energy.max())
    if loud <= 0:
        return []
    bounds = np.linspace(0, len(energy), PROBES + 1).astype(int)
    starts = [low + int(np.argmax(energy[low:high])) for low, high in pairwise(bounds) if high > low]
    return sorted({start for start in starts if energy[start] > loud})
