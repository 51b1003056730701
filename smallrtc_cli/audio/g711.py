"""G.711: PCMU and PCMA, 8 bits a sample at 8 kHz, mono, by table.

A byte has a sign, three bits of exponent and four of mantissa (ITU-T G.711 tables 1a to 2b). Decoding is one look-up
in 256 values; encoding one in 65,536, in which each int16 has the byte whose value is nearest.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.coder import Decoder, Encoder, check_packet
from smallrtc_cli.errors import UndecodablePacket

RATE = 8_000

_Table = NDArray[np.int16]


def _mu_law() -> _Table:
    byte = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (byte >> 4 & 7).astype(int), (byte & 15).astype(int)
    magnitude = ((2 * mantissa + 33) << exponent) - 33  # 14 bits
    return _signed(4 * magnitude, byte & 128 == 0)


def _a_law() -> _Table:
    byte = np.arange(256, dtype=np.uint8) ^ 0x55  # even bits are inverted on the line
    exponent, mantissa = (byte >> 4 & 7).astype(int), (byte & 15).astype(int)
    magnitude = np.where(exponent, (2 * mantissa + 33) << np.maximum(exponent - 1, 0), 2 * mantissa + 1)  # 13 bits
    return _signed(8 * magnitude, byte & 128 != 0)


def _signed(magnitude: NDArray[np.int64], positive: NDArray[np.bool_]) -> _Table:
    values: _Table = np.where(positive, magnitude, -magnitude).astype(np.int16)
    return values


def _encoding(values: _Table) -> NDArray[np.uint8]:
    """The byte of the nearest value, for each int16 in the order of its bits."""
    order = np.argsort(values, kind="stable")
    levels = values[order].astype(float)
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16)
    nearest = order[np.searchsorted((levels[1:] + levels[:-1]) / 2, samples)]
    return nearest.astype(np.uint8)


_VALUES: dict[str, Callable[[], _Table]] = {"PCMU": _mu_law, "PCMA": _a_law}


class G711Encoder(Encoder):
    """Sound to bytes by the law `PCMU` or `PCMA`; has no memory."""

    rate, channels = RATE, 1

    def __init__(self, law: str, packet: int) -> None:
        self.packet = packet
        self._bytes = _tables(law)[1]

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        check_packet(self, samples)
        return self._bytes[samples.reshape(-1).view(np.uint16)].tobytes()

    def reset(self) -> None:
        """Nothing to forget."""


class G711Decoder(Decoder):
    """Bytes to sound by the law `PCMU` or `PCMA`; has no memory."""

    rate, channels = RATE, 1

    def __init__(self, law: str) -> None:
        self._values = _tables(law)[0]

    def samples_in(self, payload: bytes) -> int:
        return len(payload)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        if not payload:
            raise UndecodablePacket("a packet has no sound in it")
        sound: NDArray[np.int16] = self._values[np.frombuffer(payload, np.uint8)][:, None]
        return sound

    def reset(self) -> None:
        """Nothing to forget."""


@cache
def _tables(law: str) -> tuple[_Table, NDArray[np.uint8]]:
    values = _VALUES[law]()
    return values, _encoding(values)
