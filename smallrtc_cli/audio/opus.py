"""Opus by way of libopus: 20 ms of sound in, a packet out, and back.

The state of an encoder or a decoder is memory of Python's that libopus fills, so it goes with the object; there is
nothing to close. Sound is int16 of shape `(samples, channels)`, at 8, 12, 16, 24 or 48 kHz: libopus has its own
filters for these, no resampler stands in the way. One object belongs to one thread.
"""

import ctypes
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.coder import Decoder, Encoder, check_packet
from smallrtc_cli.audio.opus_packet import SHORTEST, has_recovery, packet_samples
from smallrtc_cli.audio.pcm import WrongFormat
from smallrtc_cli.config import Opus
from smallrtc_cli.errors import UndecodablePacket

RATES: Final = (8_000, 12_000, 16_000, 24_000, 48_000)

_APPLICATIONS: Final = {"voip": 2048, "audio": 2049, "lowdelay": 2051}

_BANDWIDTHS: Final = {8_000: 1101, 12_000: 1102, 16_000: 1103, 24_000: 1104, 48_000: 1105}
"Narrow to full, by the rate that is enough to play them."

# Requests of `opus_defines.h`.
_BITRATE, _BANDWIDTH, _VBR, _COMPLEXITY, _FEC, _LOSS, _DTX = 4002, 4004, 4006, 4010, 4012, 4014, 4016
_LOOKAHEAD, _RESET, _INDEPENDENT = 4027, 4028, 4042

_SILENCE = 2
"A packet of no more bytes than that says that nothing needs to be sent (`opus_encode`)."


class OpusEncoder(Encoder):
    """Sound to Opus packets of `packet` samples per channel."""

    def __init__(self, library: ctypes.PyDLL, rate: int, channels: int, settings: Opus) -> None:
        check_opus_format(rate, channels)
        self.rate, self.channels = rate, channels
        self._library = library
        self._state = _block(library.opus_encoder_get_size(channels))()
        _done(library.opus_encoder_init(self._state, rate, channels, _APPLICATIONS[settings.coding]))
        self._largest = settings.largest
        self._buffer = _block(settings.largest)()
        self._silent = self._primed = False
        self.tune(settings)

    @property
    def lookahead(self) -> int:
        """Samples that the sound is late by after encoding and decoding."""
        samples = ctypes.c_int32()
        self._control(_LOOKAHEAD, ctypes.byref(samples))
        return samples.value

    def tune(self, settings: Opus) -> None:
        """Take over all but application and size, in the middle of a call."""
        super().tune(settings)
        self._control(_BITRATE, settings.bitrate * self.channels)
        self._control(_BANDWIDTH, _BANDWIDTHS[settings.playback_rate])
        self._control(_COMPLEXITY, settings.complexity)
        self._control(_VBR, not settings.cbr)
        self._control(_FEC, settings.fec)
        self._control(_LOSS, settings.loss)
        self._control(_DTX, settings.dtx)
        self._dtx = settings.dtx

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """As `Encoder.encode`; silence begins with one byte, so that the far side learns of it.

        After that there is a packet in 400 ms.
        """
        check_packet(self, samples)
        sound, library = samples.tobytes(), self._library
        size = _done(library.opus_encode(self._state, sound, self.packet, self._buffer, self._largest))
        if self._primed:
            self._primed = False
            self._control(_INDEPENDENT, False)
        goes_on, self._silent = self._silent, self._dtx and size <= _SILENCE
        return b"" if goes_on and self._silent else ctypes.string_at(self._buffer, size)

    def isolate(self) -> None:
        """As `Encoder.isolate`; nor does a packet rely on the one before."""
        self._control(_INDEPENDENT, True)

    def prime(self, sound: NDArray[np.int16]) -> None:
        """As `Encoder.prime`; the first packet after it, too, stands alone."""
        super().prime(sound)
        self._silent, self._primed = False, True

    def reset(self) -> None:
        """Forget the sound so far."""
        self._control(_RESET)
        self._silent = False

    def _control(self, request: int, *argument: object) -> None:
        _done(self._library.opus_encoder_ctl(self._state, request, *argument))


class OpusDecoder(Decoder):
    """Opus packets to sound, at any of the rates and with either number of channels, whatever the packets have."""

    def __init__(self, library: ctypes.PyDLL, rate: int, channels: int) -> None:
        check_opus_format(rate, channels)
        self.rate, self.channels = rate, channels
        self._library = library
        self._state = _block(library.opus_decoder_get_size(channels))()
        _done(library.opus_decoder_init(self._state, rate, channels))

    def samples_in(self, payload: bytes) -> int:
        """Samples per channel of a packet, undecoded; raises `UndecodablePacket`."""
        return packet_samples(payload, self.rate)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """The sound of a packet; raises `UndecodablePacket`."""
        return self._decoded(payload, packet_samples(payload, self.rate))

    def recover(self, payload: bytes, samples: int) -> NDArray[np.int16] | None:
        """The `samples` before `payload` from what it repeats of them; None if it does not (in-band FEC).

        Is to be called before `payload` itself is decoded. Raises `UndecodablePacket`.
        """
        return self._decoded(payload, samples, recover=True) if has_recovery(payload) else None

    def conceal(self, samples: int) -> NDArray[np.int16]:
        """What probably followed; fades, but takes half a second for it where the sound was steady."""
        return self._decoded(None, samples)

    def reset(self) -> None:
        """Forget the sound so far: what comes next is another sender's."""
        _done(self._library.opus_decoder_ctl(self._state, _RESET))

    def _decoded(self, payload: bytes | None, samples: int, *, recover: bool = False) -> NDArray[np.int16]:
        step = self.rate // SHORTEST
        room = -(-samples // step) * step
        sound = np.empty((room, self.channels), np.int16)
        size = len(payload) if payload else 0
        done = self._library.opus_decode(self._state, payload, size, sound.ctypes.data, room, recover)
        if done < 0:
            raise UndecodablePacket("an Opus packet is damaged")
        return sound[: min(samples, done)]


@cache
def _block(size: int) -> type[ctypes.Array[ctypes.c_char]]:
    """The type of so many bytes, kept: ctypes drops it with its last buffer, and then it is garbage in a cycle."""
    return ctypes.c_char * size


def check_opus_format(rate: int, channels: int) -> None:
    """Raises `WrongFormat` for what Opus does not take."""
    if rate not in RATES or channels not in (1, 2):
        hint = f"rates are {', '.join(map(str, RATES))} Hz, with 1 or 2 channels"
        raise WrongFormat(f"Opus has no sound of {rate} Hz with {channels} channels", hint=hint)


def _done(result: int) -> int:
    """A negative result of a call that depends on us alone is a defect of ours."""
    if result < 0:
        raise RuntimeError(f"libopus failed with {result}")
    return result
