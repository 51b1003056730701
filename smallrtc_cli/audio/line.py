"""A line to a sound device: opened, watched, and taken back when the device was gone and has returned.

What `Microphone` and `Speaker` have in common. The stream of a lost device is closed on a thread with a time limit, as
that may block for ever, and nothing of it is let through any more: an old stream may wake up behind a new one.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import ClassVar, Self

from smallrtc_cli.audio import portaudio
from smallrtc_cli.audio.device_watch import DeviceState, DeviceWatch, Finding
from smallrtc_cli.audio.devices import Device, Direction, channels, same
from smallrtc_cli.audio.portaudio import Format, Stream
from smallrtc_cli.config import Devices
from smallrtc_cli.errors import AudioUnavailable

RATE = 48_000

_log = logging.getLogger(__name__)


class Line(ABC):
    """An open device between `async with` and its end."""

    direction: ClassVar[Direction]
    role: ClassVar[str]
    "What it is called in a sentence."

    def __init__(
        self, device: Device, *, on_change: Callable[[str], None] | None = None, settings: Devices | None = None
    ) -> None:
        self.name = device.name
        self.latency = 0.0
        "Seconds between the air and our callback, as PortAudio tells it."
        self._device = device
        self._settings = settings or Devices()
        self._on_change = on_change or _log.info
        self._watch = DeviceWatch(time.monotonic(), self._settings)
        self._stream: Stream | None = None
        self._closing: asyncio.Future[None] | None = None
        self._current: object = None
        "Stands for the stream whose callbacks count."

    @abstractmethod
    def _open(self, device: Device, is_current: Callable[[], bool], ended: Callable[[], None]) -> Stream:
        """Open the device; made on a thread. Callbacks ask `is_current`, which notes that they came."""

    @property
    def state(self) -> DeviceState:
        """`open` or `lost`."""
        return self._watch.state

    async def __aenter__(self) -> Self:
        """Raises `AudioUnavailable`, with its reason."""
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.answer_timeout):
                await self._connect(lambda: self._device)
        except TimeoutError:
            raise self._unavailable("the sound system does not answer") from None
        except AudioUnavailable as error:
            raise self._unavailable(str(error)) from error
        self._watch.opened(time.monotonic())
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._task.cancel()
        try:
            await asyncio.wait({self._task})
        finally:
            await self._disconnect()
        if not self._task.cancelled():
            self._task.result()  # a fault of ours, or of `on_change`

    def _unavailable(self, reason: str) -> AudioUnavailable:
        hint = f"is it in use, or gone? `smallrtc devices` lists what is there; {AudioUnavailable.hint}"
        return AudioUnavailable(f"the {self.role} `{self.name}` does not open: {reason}", hint=hint)

    def _formats(self, device: Device, wanted: int) -> list[Format]:
        """What to ask for, the best first: 48 kHz, then the device's own rate; so many channels, then more."""
        most = channels(device, self.direction)
        counts = dict.fromkeys((min(wanted, most), min(2, most), most))
        rates = dict.fromkeys((RATE, device.default_rate))
        return [Format(rate, count) for rate in rates for count in counts]

    async def _connect(self, find: Callable[[], Device]) -> None:
        """Open and start the device that is found; what comes up when nobody waits for it any more is closed."""
        opening = portaudio.in_thread(lambda: self._start(find))
        try:
            self._stream = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            self._current = None
            opening.add_done_callback(_close_late)
            raise
        self.latency = self._stream.latency

    def _start(self, find: Callable[[], Device]) -> Stream:
        self._current = mine = object()

        def is_current() -> bool:
            if self._current is not mine:
                return False
            self._watch.heard(time.monotonic())
            return True

        def ended() -> None:
            if self._current is mine:
                self._watch.ended()

        with portaudio.LOCK:  # or its index might mean another device by the time it is opened
            stream = self._open(find(), is_current, ended)
        try:
            stream.start()
        except AudioUnavailable:
            stream.close()
            raise
        return stream

    async def _disconnect(self) -> None:
        self._current, stream, self._stream = None, self._stream, None
        if stream is None:
            return
        self._closing = asyncio.wrap_future(portaudio.in_thread(stream.close))
        try:
            await asyncio.wait({self._closing}, timeout=self._settings.close_timeout)
        finally:
            if not self._closing.done():
                _log.debug("the %s `%s` does not close; it is left to itself", self.role, self.name)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._settings.look)
            match self._watch.look(time.monotonic()):
                case Finding.GONE:
                    self._on_change(f"the {self.role} `{self.name}` is gone; the call goes on without it")
                    await self._disconnect()
                case Finding.FAILED:
                    await self._disconnect()
                case Finding.TRY:
                    await self._try_again()
                case Finding.BACK:
                    self._on_change(f"the {self.role} `{self.name}` is back")

    async def _try_again(self) -> None:
        """Takes as long as the sound system does: what is stuck must come back first, or more and more would be."""
        if self._closing is not None and not self._closing.done():
            self._watch.failed(time.monotonic())
            return
        try:
            await self._connect(lambda: same(portaudio.listed(), self._device, self.direction))
        except AudioUnavailable as error:
            _log.debug("the %s `%s` is not back: %s", self.role, self.name, error)
            self._watch.failed(time.monotonic())
        else:
            self._watch.opened(time.monotonic())


def _close_late(opening: Future[Stream]) -> None:
    portaudio.in_thread(lambda: opening.result().close())
