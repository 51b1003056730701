"""Codecs by way of PyAV: one packet of sound in, one packet out, and back."""

from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.coder import Encoder, check_packet
from smallrtc_cli.audio.pcm import to_av_frame, to_bytes
from smallrtc_cli.config import Opus
from smallrtc_cli.errors import UndecodablePacket

Name = Literal["g722", "libopus"]
Mode = Literal["r", "w"]

_LAYOUTS = {1: "mono", 2: "stereo"}


class LibavEncoder(Encoder):
    """An encoder of libav that is given whole packets of `packet` samples per channel."""

    def __init__(self, name: Name, rate: int, channels: int, packet: int, options: dict[str, str]) -> None:
        self.rate, self.channels, self.packet = rate, channels, packet
        self._name, self._options = name, options
        self.reset()

    def tune(self, settings: Opus) -> None:
        """An encoder of libav stays as it began."""

    def reset(self) -> None:
        """Forget the sound so far."""
        self._context = _context(self._name, "w", self.rate, self.channels, self._options)
        self._position = 0

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        check_packet(self, samples)
        frame = to_av_frame(samples.tobytes(), self.rate, self.channels, self._position)
        self._position += self.packet
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


class LibavDecoder:
    """A decoder of libav, at the one rate that it decodes to."""

    def __init__(self, name: Name, rate: int, channels: int) -> None:
        self.rate, self.channels, self._name = rate, channels, name
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far."""
        self._context = _context(self._name, "r", self.rate, self.channels, {})

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """The sound of a packet; raises `UndecodablePacket`."""
        if not payload:  # to libav the end of the stream
            raise UndecodablePacket("a packet has no sound in it")
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise UndecodablePacket(f"a packet is no {self._name}: {error.strerror}") from error
        sound = b"".join(to_bytes(frame) for frame in frames)
        return np.frombuffer(sound, np.int16).reshape(-1, self.channels)


def _context(name: Name, mode: Mode, rate: int, channels: int, options: dict[str, str]) -> av.AudioCodecContext:
    context = av.CodecContext.create(name, mode)
    context.sample_rate, context.layout, context.format = rate, _LAYOUTS[channels], av.AudioFormat("s16")
    context.options = options
    return context
