"""What every codec is to the rest of the program: an encoder and a decoder of packets.

Sound is int16 of shape `(samples, channels)` at `rate` Hz. An object belongs to one stream and one thread.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.pcm import WrongFormat
from smallrtc_cli.config import Opus


class Encoder(Protocol):
    """Sound to packets."""

    rate: int
    channels: int
    packet: int
    "Samples per channel in a packet."

    @property
    def lookahead(self) -> int:
        """Samples that the sound is late by after encoding and decoding, as far as that depends on settings."""
        return 0

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """One packet; empty when nothing is to be sent, though time passes (DTX).

        Raises `WrongFormat` unless `samples` is int16 of shape `(packet, channels)`.
        """
        ...

    def tune(self, settings: Opus) -> None:
        """Follow what can change during a call: packet time, bitrate, expected loss and so on, as the codec has it."""
        self.packet = round(self.rate * settings.packet)

    def isolate(self) -> None:
        """Leave no packet behind, from now on, that the one after it would rely on."""
        return  # a default: codecs without a memory of their own

    def prime(self, sound: NDArray[np.int16]) -> None:
        """Hear what was said before the first packet, by another encoder; shape `(n, channels)`, of any length."""
        silence = np.zeros((-len(sound) % self.packet, self.channels), np.int16)
        whole = np.concatenate((silence, sound))
        for start in range(0, len(whole), self.packet):
            if start == len(whole) - self.packet:
                self.isolate()
            self.encode(whole[start : start + self.packet])

    def reset(self) -> None:
        """Forget the sound so far."""


class Decoder(Protocol):
    """Packets to sound. One that inherits from this knows nothing about lost packets, until it says so."""

    rate: int
    channels: int

    def samples_in(self, payload: bytes) -> int:
        """Samples per channel of a packet, undecoded; raises `UndecodablePacket`."""
        ...

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """The sound of a packet; raises `UndecodablePacket`, and no bytes do worse."""
        ...

    def recover(self, payload: bytes, samples: int) -> NDArray[np.int16] | None:  # noqa: ARG002
        """The `samples` before `payload`, if it repeats them; to be called before `payload` is decoded.

        Raises `UndecodablePacket`.
        """
        return None

    def conceal(self, samples: int) -> NDArray[np.int16] | None:  # noqa: ARG002
        """What probably followed, if the codec knows."""
        return None

    def reset(self) -> None:
        """Forget the sound so far: what comes next is another sender's."""


def check_packet(encoder: Encoder, samples: NDArray[np.int16]) -> None:
    """Raises `WrongFormat` unless `samples` is what `encoder` makes one packet of."""
    shape = (encoder.packet, encoder.channels)
    if samples.shape != shape or samples.dtype != np.int16:
        raise WrongFormat(f"a packet takes int16 of shape `{shape}`, not {samples.dtype} of shape `{samples.shape}`")
