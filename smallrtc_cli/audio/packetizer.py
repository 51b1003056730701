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
        self.packet = packet
        "Samples per channel; may change between two pieces."
        self.rest: Samples = np.zeros((0, channels), np.int16)
        "What waits for the next piece."
        self.start = 0
        "Position of the first sample in the rest, or behind the last packet."

    @property
    def missing(self) -> int:
        """Samples until the next packet is complete."""
        return self.packet - len(self.rest)

    def add(self, samples: Samples, position: int) -> list[tuple[Samples, int]]:
        """The packets that are complete now, with their positions."""
        packets = self._cut(samples[:0]) if self.missing <= 0 else []
        if not len(self.rest):
            self.start = position
        gap = position - self.start - len(self.rest)
        silence = np.zeros((min(gap, self.missing), samples.shape[1]), np.int16) if gap > 0 else None
        packets += [] if silence is None else self._cut(silence)
        if not len(self.rest):
            self.start = position
        return packets + self._cut(samples)

    def _cut(self, samples: Samples) -> list[tuple[Samples, int]]:
        if len(self.rest):
            samples = np.concatenate((self.rest, samples))
        packets = []
        while len(samples) >= self.packet:
            packets.append((samples[: self.packet], self.start))
            samples = samples[self.packet :]
            self.start += self.packet
        self.rest = samples
        return packets
