"""A pipe as a source: raw s16le as another program writes it, read at the pace at which it is played.

A read may never return, so it happens in a thread that nobody waits for: neither the loop nor the end of the process.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator
from queue import SimpleQueue
from typing import Protocol

from smallrtc_cli.audio.ends import RATE
from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE, Converter, check_format

_PIECE = 0.02
"Seconds that are read at most at a time."


class Stream(Protocol):
    """What has a file descriptor: `sys.stdin`, the end of a pipe."""

    def fileno(self) -> int: ...


class PipeSource:
    """Sound until the end of file. Raises `WrongFormat` for a rate or a number of channels that is none.

    The descriptor is read by itself, not through Python's buffer: a thread that holds the lock of that buffer would
    break the end of the process.
    """

    live = False
    latency = 0.0

    def __init__(self, stream: Stream, rate: int = RATE, channels: int = 1, name: str = "stdin") -> None:
        check_format(rate, channels)
        self._descriptor = stream.fileno()
        self._rate, self._channels = rate, channels
        self.name = name

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        converter = Converter(RATE, 1)
        reader = _Reader(self._descriptor, round(_PIECE * self._rate) * self._channels * BYTES_PER_SAMPLE)
        try:
            while audio := await reader.read():
                yield converter.convert(audio, self._rate, self._channels)
        finally:
            reader.close()
            converter.reset()


class _Reader:
    """One read at a time, when it is asked for."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self._size = descriptor, size
        self._wanted: SimpleQueue[asyncio.Future[bytes] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=f"reads {descriptor}", daemon=True).start()

    async def read(self) -> bytes:
        """The next bytes; none at the end of file. Raises `OSError`."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._wanted.put(answer)
        return await answer

    def close(self) -> None:
        """Let the thread end, when its read returns."""
        self._wanted.put(None)

    def _run(self) -> None:
        while (answer := self._wanted.get()) is not None:
            try:
                audio, error = os.read(self._descriptor, self._size), None
            except OSError as failure:
                audio, error = b"", failure
            with contextlib.suppress(RuntimeError):  # the loop has gone
                answer.get_loop().call_soon_threadsafe(_settle, answer, audio, error)


def _settle(answer: "asyncio.Future[bytes]", audio: bytes, error: OSError | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(audio)
    else:
        answer.set_exception(error)
