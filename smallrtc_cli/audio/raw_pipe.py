"""Raw sound into a pipe, for another program to read: the loop never waits for the reader.

A write into a pipe may never return, so it happens in a thread that the end of the process does not wait for.
"""

import asyncio
import contextlib
import os
import threading
from queue import Empty, Full, Queue

from smallrtc_cli.audio.pipe_source import Stream

_WAITING = 64
"Writes that wait for the reader; what is more is dropped and counted."

_FLUSH = 2.0
"Seconds that the end waits for the reader."


class RawPipe:
    """s16le bytes as they are written, in order."""

    def __init__(self, stream: Stream) -> None:
        self._descriptor = stream.fileno()
        self._waiting: Queue[bytes | None] = Queue(_WAITING)
        self._error: OSError | None = None
        self.dropped = 0
        "Bytes for which the reader was too slow."
        self._thread = threading.Thread(target=self._run, name=f"writes {self._descriptor}", daemon=True)
        self._thread.start()

    def write(self, audio: bytes) -> None:
        """Hand on to the reader. Raises `OSError`, once it is known that there is none any more."""
        if self._error is not None:
            raise self._error
        try:
            self._waiting.put_nowait(audio)
        except Full:
            self.dropped += len(audio)

    def close(self) -> None:
        """The end, behind what was written; where the reader is stuck, in place of it."""
        while self._thread.is_alive():
            try:
                self._waiting.put_nowait(None)
                return
            except Full:
                with contextlib.suppress(Empty):  # the reader was faster
                    self.dropped += len(self._waiting.get_nowait() or b"")

    async def flushed(self) -> None:
        """Return when the reader has all that was written before `close`, or has had its time."""
        await asyncio.to_thread(self._thread.join, _FLUSH)

    def _run(self) -> None:
        while (audio := self._waiting.get()) is not None:
            try:
                while audio:
                    audio = audio[os.write(self._descriptor, audio) :]
            except OSError as error:
                self._error = error
                return
