"""Keys from a terminal, one by one, without their echo.

The terminal is given back whatever happens: at the end of `async with`, at the interpreter's exit, before SIGTERM
and SIGHUP end the process, while Ctrl-Z stops it, and by `restore` for those who leave at once. Ctrl-C stays a
signal. A process in the background leaves the terminal alone: changing it there would stop the process.
"""

import asyncio
import atexit
import contextlib
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator, Callable
from types import FrameType, TracebackType
from typing import Any, Self

from smallrtc_cli.key_decoder import KeyDecoder

_ESCAPE_TIME = 0.05
"Seconds in which the rest of an escape sequence follows its ESC, or it was the key."

_BACKGROUND = 0.25
"Seconds between two looks whether the job came to the front: `fg` tells only those that it has to continue."

_WAITING = 10_000  # a long paste comes all at once
_IN, _LOCAL, _CHARACTERS = 0, 3, 6  # places in what tcgetattr returns
_MARK_PASTES = b"\x1b[?2004h"
_AS_EVER = b"\x1b[?2004l\x1b[?25h"  # pastes unmarked; a view may have hidden the cursor
_DEADLY = (signal.SIGTERM, signal.SIGHUP)


class Keyboard:
    """An async context manager, and an async iterator of keys, as `KeyDecoder` names them.

    `suspended` and `resumed` are called around Ctrl-Z: `Keyboard(suspended=view.suspend, resumed=view.resume)`.
    Where stdin is no terminal no key ever comes, and only what a view did to the screen is undone. Belongs in the
    main thread.
    """

    def __init__(
        self, *, suspended: Callable[[], None] = lambda: None, resumed: Callable[[], None] = lambda: None
    ) -> None:
        self.dropped = 0
        "Keys that nobody read in time: 10,000 can wait."

        self._suspended = suspended
        self._resumed = resumed
        self._fd = _terminal_of(sys.stdin)
        self._screen = _terminal_of(sys.__stderr__)
        self._terminal = self._screen if self._fd is None else self._fd
        self._is_ours = False
        self._before: list[Any] | None = None
        self._decoder = KeyDecoder()
        self._keys: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        self._escape: asyncio.TimerHandle | None = None
        self._return: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        if self._terminal is not None:
            self._loop = asyncio.get_running_loop()
            self._listen()
            for number in _DEADLY:
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, self._die)
            atexit.register(self.restore)
            if not self._take():
                self._suspended()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._terminal is None:
            return
        self._let_go()
        atexit.unregister(self.restore)
        for number in _DEADLY:
            if signal.getsignal(number) == self._die:
                signal.signal(number, signal.SIG_DFL)
        self._unlisten()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        return await self._keys.get()

    def restore(self) -> None:
        """Give the terminal back at once: its modes and its cursor. Any number of times, in any signal handler."""
        if not self._is_ours or not _in_front(self._terminal):
            return
        self._is_ours = False
        if self._fd is not None and self._before is not None:
            with contextlib.suppress(termios.error):  # it has gone
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        self._write(_AS_EVER)

    def _take(self) -> bool:
        """Read keys from now on; where another job has the terminal, as soon as it is ours. Shells do not tell."""
        if not _in_front(self._terminal):
            self._return = self._loop.call_later(_BACKGROUND, self._resume)
            return False
        self._is_ours = True
        if self._fd is not None:
            with contextlib.suppress(termios.error):
                self._before = termios.tcgetattr(self._fd)
                termios.tcsetattr(self._fd, termios.TCSANOW, _key_by_key(self._fd))
            self._write(_MARK_PASTES)
            self._loop.add_reader(self._fd, self._read)
        return True

    def _let_go(self) -> None:
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
        for timer in (self._escape, self._return):
            if timer is not None:
                timer.cancel()
        self.restore()
        self._is_ours = False  # in the background, too: what the terminal was then is no longer known

    def _read(self) -> None:
        assert self._fd is not None
        try:
            data = os.read(self._fd, 4096)
        except OSError:  # EIO: the terminal has gone, and SIGHUP is on its way
            data = b""
        if not data:
            self._loop.remove_reader(self._fd)
        if self._escape is not None:
            self._escape.cancel()
        self._deliver(self._decoder.feed(data))
        if self._decoder.waiting:
            self._escape = self._loop.call_later(_ESCAPE_TIME, lambda: self._deliver(self._decoder.flush()))

    def _deliver(self, keys: list[str]) -> None:
        for key in keys:
            if self._keys.full():
                self.dropped += 1
            else:
                self._keys.put_nowait(key)

    def _listen(self) -> None:
        self._loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        self._loop.add_signal_handler(signal.SIGCONT, self._resume)

    def _unlisten(self) -> None:
        self._loop.remove_signal_handler(signal.SIGTSTP)
        self._loop.remove_signal_handler(signal.SIGCONT)

    def _suspend(self) -> None:
        """What Ctrl-Z asks for. Goes on by itself where no shell is there that could continue us."""
        self._suspended()
        self._let_go()
        self._unlisten()
        signal.raise_signal(signal.SIGTSTP)  # by its default: stops here until SIGCONT
        self._listen()
        self._resume()

    def _resume(self) -> None:
        """Continued, be it after a SIGSTOP, which no one can see coming; `bg` leaves us in the background."""
        self._let_go()
        if self._take():
            self._resumed()

    def _die(self, number: int, _: FrameType | None) -> None:
        self.restore()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _write(self, codes: bytes) -> None:
        if self._screen is not None:
            with contextlib.suppress(OSError):
                os.write(self._screen, codes)


def _terminal_of(stream: Any) -> int | None:
    try:
        return stream.fileno() if stream.isatty() else None
    except (OSError, ValueError, AttributeError):  # replaced, closed, or none at all
        return None


def _in_front(fd: int | None) -> bool:
    """Whether this is the job that has the terminal; without job control there is no other."""
    try:
        return fd is None or os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True


def _key_by_key(fd: int) -> list[Any]:
    """The terminal's modes, without lines, echo, and the flow control that Ctrl-S would freeze a call by.

    Signals by Ctrl-C and Ctrl-Z stay.
    """
    modes = termios.tcgetattr(fd)
    modes[_IN] &= ~termios.IXON
    modes[_LOCAL] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    modes[_CHARACTERS][termios.VMIN] = 1
    modes[_CHARACTERS][termios.VTIME] = 0
    return modes
