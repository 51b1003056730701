"""Cuts sound that comes in pieces of any length into packets of one length. Pure.

Positions count samples per channel and only grow. Where they leave a gap, nothing was said: a packet that was begun is
filled up with silence, as far as the gap reaches, and over the rest of it time just passes.
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"Of shape `(n, channels)`."


class Packetizer:
    """Packets of `packet` samples per channel; what is left over waits for the next piece."""

    def __init__(self, packet: int, channels: int) -> None:
        self._packet = packet
        self._rest: Samples = np.zeros((0, channels), np.int16)
        self._start = 0
        "Position of the first sample in the rest."

    def add(self, samples: Samples, position: int) -> list[tuple[Samples, int]]:
        """The packets that are complete now, with their positions."""
        if not len(self._rest):
            self._start = position
        gap = position - self._start - len(self._rest)
        silence = np.zeros((min(gap, self._packet - len(self._rest)), samples.shape[1]), np.int16) if gap > 0 else None
        packets = [] if silence is None else self._cut(silence)
        if not len(self._rest):
            self._start = position
        return packets + self._cut(samples)

    def _cut(self, samples: Samples) -> list[tuple[Samples, int]]:
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        packets = []
        while len(samples) >= self._packet:
            packets.append((samples[: self._packet], self._start))
            samples = samples[self._packet :]
            self._start += self._packet
        self._rest = samples
        return packets
