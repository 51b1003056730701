"""A stream that goes through an `ElasticBuffer` in simulated time: late, by another clock, deterministic."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.elastic import ElasticBuffer

RATE = 8_000
TAKE = RATE // 100
LOUDNESS = 16_000


def tone(seconds: float, rate: int = RATE, hertz: float = 1_000, channels: int = 1) -> NDArray[np.int16]:
    wave = LOUDNESS * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(np.rint(wave).astype(np.int16)[:, None], channels, axis=1)


@dataclass
class Played:
    buffer: ElasticBuffer
    sound: NDArray[np.int16]
    levels: NDArray[np.float64]
    targets: NDArray[np.float64]
    underruns: NDArray[np.int64]
    corrections: NDArray[np.float64]

    def mean_level(self, start: float, end: float) -> float:
        return float(self.levels[round(start * 100) : round(end * 100)].mean())


def play(
    sound: NDArray[np.int16],
    *,
    piece: float = 0.02,
    rate: int = RATE,
    ppm: float = 0.0,
    jitter: float = 0.0,
    late: Callable[[NDArray[np.float64]], NDArray[np.float64]] = np.zeros_like,
) -> Played:
    """Puts pieces by a clock that is `ppm` fast, in order, and takes 10 ms by the right one."""
    buffer, random = ElasticBuffer(rate, sound.shape[1]), np.random.default_rng(7)
    pieces = np.split(sound, range(round(piece * rate), len(sound), round(piece * rate)))
    due = piece * np.arange(1, len(pieces) + 1) / (1 + ppm * 1e-6)
    come = np.maximum.accumulate(due + late(due) + random.uniform(0, 2 * jitter, len(due)) + 0.0037)
    asked = np.arange(0, due[-1], 0.01)
    asked = np.maximum.accumulate(asked + random.uniform(0, 2 * jitter, len(asked)))
    taken, figures, index = [], [], 0
    for now in asked:
        while index < len(come) and come[index] <= now:
            buffer.put(pieces[index], float(come[index]))
            index += 1
        taken.append(buffer.take(rate // 100, float(now)))
        figures.append((buffer.seconds, buffer.target, buffer.underruns, buffer.correction_ppm))
    levels, targets, underruns, corrections = np.array(figures).T
    return Played(buffer, np.concatenate(taken), levels, targets, underruns.astype(int), corrections)


def largest_step(sound: NDArray[np.int16]) -> int:
    return int(np.abs(np.diff(sound.astype(np.int32), axis=0)).max())


def step_of_a_tone(hertz: float = 1_000, rate: int = RATE) -> float:
    return 2 * LOUDNESS * float(np.sin(np.pi * hertz / rate))


def stall(at: float, seconds: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """What was due from `at` on comes all at once, `seconds` later."""
    return lambda due: np.where((due >= at) & (due < at + seconds), at + seconds - due, 0)
