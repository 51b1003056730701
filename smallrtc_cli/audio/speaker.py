"""A speaker as a sink of sound: what a call hears."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio import portaudio
from smallrtc_cli.audio.devices import Device, Direction
from smallrtc_cli.audio.elastic import ElasticBuffer
from smallrtc_cli.audio.line import RATE, Line
from smallrtc_cli.audio.pcm import Converter
from smallrtc_cli.audio.portaudio import Format, Stream
from smallrtc_cli.config import Devices

_STEREO = 2


class _Route:
    """From what is written, 48 kHz stereo, to what a device of some rate takes."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.converter = Converter(rate, _STEREO)
        self.buffer = ElasticBuffer(rate, _STEREO)


class Speaker(Line):
    """A sink: takes 48 kHz stereo s16le in any pace and length, and plays it at the pace of the device."""

    direction = Direction.OUTPUT
    role = "speaker"

    def __init__(
        self, device: Device, *, on_change: Callable[[str], None] | None = None, settings: Devices | None = None
    ) -> None:
        super().__init__(device, on_change=on_change, settings=settings)
        self.muted = False
        "Whether silence is played in place of what is written."
        self.played = 0.0
        "Seconds that the device has taken, of silence, too."
        self._route = _Route(RATE)
        self._run_dry = 0
        self._earlier_underruns = 0

    @property
    def delay(self) -> float:
        """Seconds until what is written now is heard."""
        return self._route.buffer.seconds + self.latency

    @property
    def underruns(self) -> int:
        """Times that the device ran dry, because we were late, or the sound broke off, because the network was."""
        return self._earlier_underruns + self._route.buffer.underruns + self._run_dry

    @property
    def buffer(self) -> ElasticBuffer:
        """Its figures; another one after the device came back with another rate."""
        return self._route.buffer

    async def write(self, audio: bytes) -> None:
        """Never waits; what comes while the device is gone, or too much of it, is dropped and counted."""
        route = self._route
        converted = route.converter.convert(audio, RATE, _STEREO)
        samples = np.frombuffer(converted, "<i2").reshape(-1, _STEREO)
        route.buffer.put(np.zeros_like(samples) if self.muted else samples, time.monotonic())

    def clear(self) -> None:
        """Be silent now: drop what was written and not played, with a short fade."""
        self._route.buffer.clear()

    def _open(self, device: Device, is_current: Callable[[], bool], ended: Callable[[], None]) -> Stream:
        def wanted(count: int, shape: Format, ran_dry: bool) -> bytes:
            if not is_current():
                return bytes(2 * count * shape.channels)
            self._run_dry += ran_dry
            self.played += count / shape.rate
            return fitted(self._route.buffer.take(count, time.monotonic()), shape.channels).tobytes()

        stream = portaudio.open_output(
            device.index, self._formats(device, _STEREO), self._settings.piece, wanted, ended
        )
        if stream.format.rate != self._route.rate:
            self._earlier_underruns += self._route.buffer.underruns
            self._route = _Route(stream.format.rate)
        return stream


def fitted(stereo: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    """For a device of another number of channels: both sides in one, or the first two of many."""
    if channels == _STEREO:
        return stereo
    if channels == 1:
        return np.asarray(stereo.sum(axis=1, dtype=np.int32) // 2, dtype=np.int16)
    wider = np.zeros((len(stereo), channels), np.int16)
    wider[:, :_STEREO] = stereo
    return wider
