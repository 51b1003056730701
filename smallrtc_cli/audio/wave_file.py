"""A stereo WAV file that grows: valid at every moment, so that a process that is killed leaves what was heard."""

import contextlib
import errno
import os
import wave
from pathlib import Path

from smallrtc_cli.audio.ends import RATE

MOST = 2**32 - 1 - 36
"Bytes of sound; the header counts no more. Six hours and twelve minutes."


class WaveFile:
    """16 bit stereo at 48 kHz. Raises `OSError` where it cannot be made."""

    def __init__(self, path: Path) -> None:
        if path.is_fifo():  # to open it would wait for a reader, and a header cannot be mended in it
            raise OSError(errno.ESPIPE, "it is a pipe")
        self._written = 0
        self._file = path.open("wb")
        # Not by its path: where that fails, `wave` complains once more.
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115 - open until `close`
        self._wave.setparams((2, 2, RATE, 0, "NONE", "not compressed"))
        self._add(b"")

    def write(self, stereo: bytes) -> None:
        """Add s16le sound. Raises `OSError`, also where the file would be longer than WAV allows."""
        self._written += len(stereo)
        if self._written > MOST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        self._add(stereo)

    def _add(self, stereo: bytes) -> None:
        self._wave.writeframes(stereo)
        self._file.flush()

    def close(self) -> None:
        """The end; a disk that is full has been told of by `write`."""
        for file in (self._wave, self._file):
            with contextlib.suppress(OSError):
                file.close()
