"""The view of one call, redrawn in place at the bottom of the terminal; what is said scrolls by above it."""

import contextlib
import io
import select
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType

from smallrtc_cli.console import printable, writing
from smallrtc_cli.report.call_drawing import draw
from smallrtc_cli.report.call_picture import CallPicture, Line
from smallrtc_cli.report.conversation import said
from smallrtc_cli.report.region import Region

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class CallView:
    """Draws on a terminal's stderr between `with` and its end; needs a terminal (`console.is_live`).

    Each `show` fits the terminal's size of that moment. What others write to stdout and stderr meanwhile, in any
    thread, goes above, line by line. `suspend` gives the terminal back for a while (Ctrl-Z): nothing is drawn until
    `resume`, which draws the last picture anew. Raises `Unwritable` when the terminal has gone.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._console = Console(file=self._stream, highlight=False, markup=False, emoji=False)
        self._region = Region()
        self._picture: CallPicture | None = None
        self._suspended = False
        self._lock = threading.RLock()
        self._redirected = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._write(_HIDE_CURSOR)
        for redirect in (contextlib.redirect_stdout, contextlib.redirect_stderr):
            above = self._redirected.enter_context(contextlib.closing(_Above(self.say)))
            self._redirected.enter_context(redirect(above))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the picture away and show the cursor again."""
        with contextlib.suppress(OSError):  # the terminal has gone: there is nothing to restore
            self._redirected.close()
            self.suspend()

    def show(self, picture: CallPicture) -> None:
        """Draw a picture in the place of the last one; left out while the terminal takes no more."""
        self._picture = picture
        with self._lock:
            if not self._suspended and self._takes_more():
                self._write(self._painted())

    def say(self, line: str | Line) -> None:
        """Write a line above, to stay."""
        text = self._rendered(said(line)) if isinstance(line, Line) else printable(line)
        with self._lock:
            self._write(self._region.pushed_down(text, self._console.width))

    def suspend(self) -> None:
        """Take the picture away and draw no more."""
        with self._lock:
            self._suspended = True
            self._write(self._region.cleared(self._console.width) + _SHOW_CURSOR)

    def resume(self) -> None:
        """Draw the last picture anew, where the cursor is by now, and go on."""
        with self._lock:
            self._suspended = False
            self._region.forget()
            self._write(_HIDE_CURSOR + self._painted())

    def _painted(self) -> str:
        if self._picture is None:
            return ""
        width, height = self._console.size
        return self._region.painted(self._rendered(draw(self._picture, width, height)).split("\n"), width)

    def _rendered(self, renderable: RenderableType) -> str:
        with self._console.capture() as capture:
            self._console.print(renderable, no_wrap=True, overflow="ignore", crop=False)
        return capture.get().removesuffix("\n")

    def _takes_more(self) -> bool:
        """A terminal that stands still would make the whole call stand still, if it was waited for."""
        return bool(select.select([], [self._stream], [], 0)[1])

    def _write(self, codes: str) -> None:
        with writing(self._stream, "stderr"):
            self._stream.write(codes)
            self._stream.flush()


class _Above(io.TextIOBase):
    """A stream whose lines are said."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def close(self) -> None:
        if self._rest:
            self._say(self._rest)
        self._rest = ""
        super().close()
