"""Opus by way of PyAV alone: what is left where libopus itself cannot be loaded (see `libopus`).

Sound and rates are the same. Missing are DTX, and the recovery and concealment of lost packets. PyAV decodes to
48 kHz only: a lower rate costs a filter here, which delays sound by 1 ms.
"""

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.coder import Decoder, Encoder
from smallrtc_cli.audio.libav import LibavDecoder, LibavEncoder
from smallrtc_cli.audio.opus import check_opus_format
from smallrtc_cli.audio.opus_packet import packet_samples
from smallrtc_cli.config import Opus

_FULL_RATE = 48_000
_CUTOFFS = {8_000: 4_000, 12_000: 6_000, 16_000: 8_000, 24_000: 12_000, 48_000: 20_000}
"Hz of the highest sound, by the rate that is enough to play it."

_LOOKAHEADS = {"lowdelay": 0.0025, "audio": 0.0065, "voip": 0.0065}
"Seconds, which libav does not tell."

_REACH = 0.001
"Seconds that the low-pass filter looks to either side."


class PyavOpusEncoder(Encoder):
    """The shape of `OpusEncoder`, with the settings that it began with for good: libav takes no others."""

    def __init__(self, rate: int, channels: int, settings: Opus) -> None:
        check_opus_format(rate, channels)
        self.rate, self.channels = rate, channels
        self.packet = round(rate * settings.packet)
        self._lookahead = round(rate * _LOOKAHEADS[settings.coding])
        options = {
            "application": settings.coding,
            "b": str(settings.bitrate * self.channels),
            "compression_level": str(settings.complexity),
            "cutoff": str(_CUTOFFS[settings.playback_rate]),
            "fec": str(int(settings.fec)),
            "frame_duration": f"{1000 * self.packet / self.rate:g}",
            "packet_loss": str(settings.loss),
            "vbr": "off" if settings.cbr else "on",
        }
        self._encoder = LibavEncoder("libopus", self.rate, self.channels, self.packet, options)

    @property
    def lookahead(self) -> int:
        return self._lookahead

    def tune(self, settings: Opus) -> None:
        """It stays as it began."""

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        return self._encoder.encode(samples)

    def reset(self) -> None:
        self._encoder.reset()


class PyavOpusDecoder(Decoder):
    """The shape of `OpusDecoder`, but what is lost stays lost."""

    def __init__(self, rate: int, channels: int) -> None:
        check_opus_format(rate, channels)
        self.rate, self.channels = rate, channels
        self._decoder = LibavDecoder("libopus", _FULL_RATE, channels)
        self._every = _FULL_RATE // rate
        self._filter = _low_pass(self._every)
        self._before = np.zeros((len(self._filter) - 1, channels), np.int16)

    def samples_in(self, payload: bytes) -> int:
        return packet_samples(payload, self.rate)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        packet_samples(payload, _FULL_RATE)
        sound = self._decoder.decode(payload)
        return sound if self._every == 1 else self._thinned(sound)

    def reset(self) -> None:
        self._decoder.reset()
        self._before[:] = 0

    def _thinned(self, sound: NDArray[np.int16]) -> NDArray[np.int16]:
        """Every n-th sample of the low-passed sound."""
        whole = np.concatenate([self._before, sound])
        self._before = whole[-len(self._before) :]
        channels = [np.convolve(whole[:, each], self._filter, "valid")[:: self._every] for each in range(self.channels)]
        return np.stack(channels, axis=1).round().clip(-32768, 32767).astype(np.int16)


def _low_pass(every: int) -> NDArray[np.float64]:
    """A windowed sinc that keeps what a rate `every` times lower can hold; gain 1."""
    half = round(_FULL_RATE * _REACH)
    taps = np.sinc(np.arange(-half, half + 1) * 0.9 / every) * np.hamming(2 * half + 1)
    low_pass: NDArray[np.float64] = taps / taps.sum()
    return low_pass
