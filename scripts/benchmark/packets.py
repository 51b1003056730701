"""RTP by hand, and Opus through PyAV: no aiortc buffer or thread is between the wire and the figures."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np
from numpy.typing import NDArray

from benchmark.chirps import RATE, Sound, signal

FRAME = RATE // 50
"Samples of a packet: 20 ms."

_VERSION = 0x80
_HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class Packet:
    """What a received RTP packet has of interest."""

    sequence: int
    timestamp: int
    payload: bytes


def build(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes) -> bytes:
    """An RTP packet without extensions."""
    return _HEADER.pack(_VERSION, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def parse(data: bytes) -> Packet:
    """Read an RTP packet (RFC 3550 section 5.1); sources, extension and padding are skipped."""
    first, _, sequence, timestamp, _ = _HEADER.unpack_from(data)
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    end = len(data) - (data[-1] if first & 0x20 else 0)
    return Packet(sequence, timestamp, data[start:end])


def encode(sound: Sound) -> list[bytes]:
    """Opus packets of 20 ms as aiortc's own sender makes them: stereo, 96 kbit/s, `voip`."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.bit_rate, encoder.format, encoder.layout, encoder.sample_rate = 96_000, "s16", "stereo", RATE
    encoder.time_base, encoder.options = Fraction(1, RATE), {"application": "voip"}
    whole = sound[: len(sound) // FRAME * FRAME]
    stereo = np.repeat((whole * 32767).astype(np.int16), 2)
    frames = (_frame(stereo[at : at + 2 * FRAME], at // 2) for at in range(0, len(stereo), 2 * FRAME))
    return [bytes(packet) for frame in frames for packet in encoder.encode(frame)]


def _frame(samples: NDArray[np.int16], pts: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, pts, Fraction(1, RATE)
    return frame


@dataclass(frozen=True, slots=True)
class Material:
    """What every client sends, over and over."""

    sound: Sound
    payloads: list[bytes]


@cache
def material() -> Material:
    """10 s, more than any latency is measured for; made once."""
    sound = signal(10.0)
    return Material(sound, encode(sound))


class Decoder:
    """Opus to mono at 48 kHz."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.format, self._codec.layout, self._codec.sample_rate = "s16", "stereo", RATE

    def decode(self, payload: bytes) -> Sound:
        """The sound of one packet; nothing for one that is no Opus."""
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError:
            return np.zeros(0, np.float32)
        sounds = [frame.to_ndarray().reshape(-1, 2).mean(axis=1, dtype=np.float32) / 32768 for frame in frames]
        return np.concatenate([np.zeros(0, np.float32), *sounds])


def decode(payloads: Iterable[bytes]) -> list[Sound]:
    """The sound of each packet of a stream, in the order of the stream."""
    decoder = Decoder()
    return [decoder.decode(payload) for payload in payloads]
