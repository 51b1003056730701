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

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """One packet; empty when nothing is to be sent, though time passes (DTX).

        Raises `WrongFormat` unless `samples` is int16 of shape `(packet, channels)`.
        """
        ...

    def tune(self, settings: Opus) -> None:  # noqa: ARG002
        """Follow what can change during a call: bitrate, expected loss and so on; a codec without settings stays."""
        return  # a default, not an abstract method

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
