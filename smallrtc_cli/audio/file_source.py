"""A sound file as a source: decoded beside the loop, a second ahead, however long it is."""

import contextlib
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

from smallrtc_cli.audio import files
from smallrtc_cli.audio.ahead import one_ahead
from smallrtc_cli.audio.ends import RATE
from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE
from smallrtc_cli.errors import UnreadableAudio

_CHUNK = RATE * BYTES_PER_SAMPLE
"Bytes that are decoded at a time: a second."

_PIECE = _CHUNK // 50
"Bytes in a piece: 20 ms, so that a mute is heard at once."


class FileSource:
    """Anything with sound that libav reads; with `loop` again and again.

    Raises `UnreadableAudio` where the file has no sound: here, and not in the middle of a call.
    """

    live = False
    latency = 0.0

    def __init__(self, path: str | Path, loop: bool = False) -> None:
        self._path, self._loop = Path(path), loop
        self.name = self._path.name
        with contextlib.closing(files.pieces(path, RATE, 1)) as sound:
            if not any(len(piece) for piece in sound):
                raise UnreadableAudio(f"`{path}` has no sound in it")

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        async with contextlib.aclosing(one_ahead(self._chunks())) as chunks:
            async for chunk in chunks:
                for at in range(0, len(chunk), _PIECE):
                    yield chunk[at : at + _PIECE]

    def _chunks(self) -> Generator[bytes]:
        """A second each, and what is left at the end."""
        rest = bytearray()
        for piece in self._decoded():
            rest += piece
            while len(rest) >= _CHUNK:
                yield bytes(rest[:_CHUNK])
                del rest[:_CHUNK]
        yield bytes(rest)

    def _decoded(self) -> Generator[bytes]:
        samples, again = 1, True
        while samples and again:  # a file that was emptied meanwhile would be read for ever
            samples, again = 0, self._loop
            for piece in files.pieces(self._path, RATE, 1):
                samples += len(piece)
                yield piece.astype("<i2", copy=False).tobytes()
