"""A real terminal for tests, and programs in it; what they write is kept."""

import asyncio
import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from calls import until

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_LEFT_OUT = ("CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """Both ends of it; a program is its session's leader, as a login shell is."""

    def __init__(self) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(100)
        self.before = self.modes
        self.text = ""
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def run(self, *command: str | Path) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in _LEFT_OUT}
        root = str(Path(__file__).parents[1])
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *map(str, command)],
            env=environment | {"TERM": "xterm-256color", "PYTHONPATH": root, "LC_ALL": "C.UTF-8", "PS1": "$ "},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            self.text += os.read(self._ours, 65_536).decode(errors="replace")

    def resize(self, columns: int, rows: int = 30) -> None:
        termios.tcsetwinsize(self._theirs, (rows, columns))

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)

    def type(self, keys: str) -> int:
        """Type it; gives the place in `text` from which on its effect is."""
        place = len(self.text)
        os.write(self._ours, keys.encode())
        return place

    async def shows(self, words: str, since: int = 0) -> str:
        """Wait for words, of whatever colour; gives all since then."""
        await until(lambda: words in _STYLE.sub("", self.text[since:]), 20)
        return _STYLE.sub("", self.text[since:])

    async def ended(self) -> int:
        await until(lambda: self.process.poll() is not None, 20)
        return int(self.process.returncode)

    @property
    def is_as_before(self) -> bool:
        """Modes, cursor, wrapping and pastes."""
        pairs = [("\x1b[?25h", "\x1b[?25l"), ("\x1b[?2004l", "\x1b[?2004h"), ("\x1b[?7h", "\x1b[?7l")]
        return self.modes == self.before and all(self.text.rfind(on) >= self.text.rfind(off) for on, off in pairs)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._ours)
        os.close(self._theirs)


@contextlib.asynccontextmanager
async def terminal() -> AsyncIterator[Terminal]:
    opened = Terminal()
    try:
        yield opened
    finally:
        opened.close()
