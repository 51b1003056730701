"""What bots print, told apart by session: `print()` in one bot's task is a line of that session."""

import io
from collections.abc import Callable
from typing import Any, TextIO

from smallrtc_cli.bots.supervisor import session_of_task

_LONGEST = 10_000
"Characters without a line end after which a line is told all the same."


class BotPrints(io.TextIOBase):
    """In the place of `sys.stdout`: whole lines of a bot go to `said`, everything else where it went before."""

    def __init__(self, original: TextIO, said: Callable[[str, str], None]) -> None:
        """`said` is called with the session's id and a line without its end."""
        self.original, self._said = original, said
        self._begun: dict[str, str] = {}

    def write(self, text: str) -> int:
        session = session_of_task.get()
        if session is None:
            return self.original.write(text)
        *lines, rest = (self._begun.pop(session, "") + text).split("\n")
        for line in lines:
            self._said(session, line)
        if len(rest) > _LONGEST:
            self._said(session, rest)
        elif rest:
            self._begun[session] = rest
        return len(text)

    def finish(self, session: str) -> None:
        """Tell what a session's bot printed without a line end."""
        if session in self._begun:
            self._said(session, self._begun.pop(session))

    def flush(self) -> None:
        self.original.flush()

    def isatty(self) -> bool:
        return self.original.isatty()

    def fileno(self) -> int:
        return self.original.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.original.encoding

    def __getattr__(self, name: str) -> Any:
        """`buffer`, `reconfigure` and what else a stdout has: that of the original."""
        return getattr(self.original, name)

    def writable(self) -> bool:
        return True
