"""G.722 by way of libav: 16 kHz, mono, 64 kbit/s, half a byte a sample.

Adaptive prediction goes sample by sample, which numpy cannot. PyAV frames what it encodes with a filter graph, and
each graph starts two native threads that sleep: the price of a call with this codec.
"""

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.coder import Decoder
from smallrtc_cli.audio.libav import LibavDecoder, LibavEncoder

RATE = 16_000


class G722Encoder(LibavEncoder):
    """Packets of `packet` samples."""

    def __init__(self, packet: int) -> None:
        super().__init__("g722", RATE, 1, packet, {"frame_size": str(packet)})


class G722Decoder(Decoder):
    """Any bytes are G.722, so that none is refused but no bytes at all."""

    rate, channels = RATE, 1

    def __init__(self) -> None:
        self._decoder = LibavDecoder("g722", RATE, 1)

    def samples_in(self, payload: bytes) -> int:
        return 2 * len(payload)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        return self._decoder.decode(payload)

    def reset(self) -> None:
        self._decoder.reset()
