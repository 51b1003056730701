"""Both sides of a call as one stereo sound, each where it was heard, written while the call goes on."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from smallrtc_cli.audio.ends import RATE
from smallrtc_cli.audio.pcm import Converter, to_bytes
from smallrtc_cli.audio.raw_pipe import RawPipe
from smallrtc_cli.audio.stereo import StereoTimeline
from smallrtc_cli.audio.wave_file import WaveFile
from smallrtc_cli.errors import CannotRun
from smallrtc_cli.rtc.connection import SmallWebRTCConnection

LEFT, RIGHT = 0, 1

_BEHIND = 1.0
"Seconds that a file is behind: a side that comes late must still find its place."

_BEHIND_IN_PIPE = 0.2
"The same where somebody listens."


class Out(Protocol):
    """Where the sound goes."""

    def write(self, stereo: bytes) -> None:
        """Take s16le sound at 48 kHz. Raises `OSError`."""

    def close(self) -> None:
        """All has been written."""


class StereoRecording:
    """Writes what is added, some time later, until it is closed, or cannot be written: `on_failed` is told then."""

    def __init__(self, out: Out, on_failed: Callable[[OSError], object], behind: float | None = None) -> None:
        self._out, self._on_failed = out, on_failed
        self._behind = _BEHIND if behind is None else behind
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timeline = StereoTimeline(RATE)
        self._converters = (Converter(RATE, 1), Converter(RATE, 1))
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(self._behind, self._write)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._loop.time() - self._began

    @property
    def is_open(self) -> bool:
        return self._timer is not None

    def add(self, side: int, frame: av.AudioFrame) -> None:
        """A side is heard now; the frame is left as it is."""
        if not self.is_open:
            return
        pts, now = frame.pts, self.seconds
        for piece in self._converters[side].convert_frame(frame):
            self._timeline.add(side, np.frombuffer(to_bytes(piece), "<i2"), now)
        frame.pts = pts

    def _write(self) -> None:
        self._timer = self._loop.call_later(self._behind, self._write)
        self._keep(self._behind)

    def _keep(self, behind: float) -> None:
        """Write what was heard until some seconds ago; a disk that is full ends the recording, not the call."""
        try:
            self._out.write(self._timeline.take(self.seconds - behind).tobytes())
        except OSError as error:
            self.stop()
            self._on_failed(error)

    def close(self) -> None:
        """Write what is left; again is nothing."""
        if self.is_open:
            self._keep(0)
        self.stop()

    def stop(self) -> None:
        """End without what is left; again is nothing."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        for converter in self._converters:
            converter.reset()
        self._out.close()


@contextlib.asynccontextmanager
async def recording(
    connection: SmallWebRTCConnection, to: str, on_trouble: Callable[[str], object]
) -> AsyncIterator[StereoRecording]:
    """Record a dialed call, left what I say, right the bot: to a WAV file, or for `-` raw s16le to the standard output.

    Raises `CannotRun` where there can be no such file. What ends the recording later is told in a sentence.
    """

    def failed(error: OSError) -> None:
        why = "its reader has gone" if isinstance(error, BrokenPipeError) else (error.strerror or str(error)).lower()
        on_trouble(f"the recording to `{to}` ends here: {why}")

    pipe = RawPipe(sys.stdout) if to == "-" else None
    sound = StereoRecording(pipe or _wave_file(to), failed, _BEHIND_IN_PIPE if pipe else None)
    connection.listen_in(heard=lambda frame: sound.add(RIGHT, frame), said=lambda frame: sound.add(LEFT, frame))
    try:
        yield sound
    finally:
        sound.close()
        if pipe is not None:
            await pipe.flushed()


def _wave_file(path: str) -> WaveFile:
    try:
        return WaveFile(Path(path))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotRun(
            f"`{path}` cannot be written: {reason}", hint="give `--record-to` a file that is yours"
        ) from error
