"""A microphone as a source of sound: what a call sends while its person speaks."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from types import TracebackType

import numpy as np

from smallrtc_cli.audio import portaudio
from smallrtc_cli.audio.devices import Device, Direction
from smallrtc_cli.audio.line import RATE, Line
from smallrtc_cli.audio.pcm import Converter
from smallrtc_cli.audio.portaudio import Format, Stream
from smallrtc_cli.config import Devices


class Microphone(Line):
    """A live source: 48 kHz s16le in pieces of 10 ms, mono unless two `channels` are asked for.

    Iterate over it while it is open; it gives nothing while its device is gone, and ends when it is closed. A late
    reader gets the newest 200 ms.
    """

    direction = Direction.INPUT
    role = "microphone"
    live = True

    def __init__(
        self,
        device: Device,
        *,
        channels: int = 1,
        on_change: Callable[[str], None] | None = None,
        settings: Devices | None = None,
    ) -> None:
        super().__init__(device, on_change=on_change, settings=settings)
        self.overruns = 0
        "Pieces that were lost: by the device, because we were late, or here, because the reader was."
        self._channels = channels
        self._converter = Converter(RATE, channels)
        self._pieces: deque[tuple[bytes, Format]] = deque(maxlen=round(self._settings.backlog / self._settings.piece))
        self._arrived = asyncio.Event()
        self._closed = False

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        while not self._closed:
            while self._pieces:
                if converted := self._convert(*self._pieces.popleft()):
                    yield converted
            self._arrived.clear()
            if not self._pieces and not self._closed:
                await self._arrived.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        self._arrived.set()
        await super().__aexit__(kind, error, traceback)

    def _open(self, device: Device, is_current: Callable[[], bool], ended: Callable[[], None]) -> Stream:
        def heard(audio: bytes, shape: Format, overflowed: bool) -> None:
            if is_current():
                self._put(audio, shape, overflowed=overflowed)

        formats = self._formats(device, self._channels)
        return portaudio.open_input(device.index, formats, self._settings.piece, heard, ended)

    def _put(self, audio: bytes, shape: Format, *, overflowed: bool) -> None:
        """PortAudio's thread: keep it and wake the loop, if there still is one."""
        self.overruns += overflowed + (len(self._pieces) == self._pieces.maxlen)
        self._pieces.append((audio, shape))
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._arrived.set)

    def _convert(self, audio: bytes, shape: Format) -> bytes:
        """Of more than two channels the first two are taken."""
        if shape.channels > 2:
            audio = np.frombuffer(audio, "<i2").reshape(-1, shape.channels)[:, :2].tobytes()
        return self._converter.convert(audio, shape.rate, min(shape.channels, 2))
