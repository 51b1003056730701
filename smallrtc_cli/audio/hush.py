"""What C libraries write to stderr, kept off the terminal: libasound, JACK and PortAudio complain at length.

They write at any time: PortAudio's own threads do so when a device dies. File descriptor 2 is not theirs alone, people
are told and views are drawn there, so it is left as it is. Only C's variable `stderr` is pointed elsewhere, which
glibc's manual allows ("Standard Streams"). Where there is another C library nothing is done: musl's variable cannot be
written, and there is neither libasound nor JACK on macOS or Windows.
"""

import contextlib
import ctypes
import logging
import os
import sys
import threading
from types import TracebackType
from typing import Self

_log = logging.getLogger(__name__)

_IONBF = 2  # glibc's stdio.h: no buffer, so that what was written is there

_MOST = 65_536
"Bytes that a pipe holds; what is written beyond that is lost."


class Hush:
    """While a `with` block is in it, on any thread, C's stderr is a pipe; what came goes to the debug log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._libc = _glibc()
        self._pipe: tuple[int, int] | None = None
        "Its read end, and the address of the C stream on the other; for as long as the process lives."

    def __enter__(self) -> Self:
        with self._lock:
            self._depth += 1
            if self._depth == 1 and self._libc is not None:
                self._pipe = self._pipe or _c_stream(self._libc)
                variable = _variable(self._libc)
                self._theirs, variable.value = variable.value, self._pipe[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._libc is not None:
                _variable(self._libc).value = self._theirs
        self._log_caught()

    def _log_caught(self) -> None:
        if self._pipe is None:
            return
        with contextlib.suppress(BlockingIOError):  # nothing came
            for line in os.read(self._pipe[0], _MOST).decode(errors="replace").splitlines():
                if line:
                    _log.debug("%s", line)


def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def _variable(libc: ctypes.CDLL) -> ctypes.c_void_p:
    return ctypes.c_void_p.in_dll(libc, "stderr")


def _c_stream(libc: ctypes.CDLL) -> tuple[int, int]:
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    libc.fdopen.restype = ctypes.c_void_p
    stream = int(libc.fdopen(writer, b"w"))
    libc.setvbuf(ctypes.c_void_p(stream), None, _IONBF, ctypes.c_size_t(0))
    return reader, stream
