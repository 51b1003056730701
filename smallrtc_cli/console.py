"""What people and programs read: `show` writes to stdout, `say` and `fail` to stderr.

Text is written as it was typed: nothing in it is taken for markup, and control characters that came from
elsewhere (a server's answer, a file's name) are escaped, so that they cannot steer the terminal. Colour
follows the stream, NO_COLOR, FORCE_COLOR and TERM=dumb; the environment is read at each call. rich is
loaded on the first coloured word.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_HANDLER = "smallrtc"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Failure(Protocol):
    """What `fail` shows: an exception whose `str()` is the sentence, with a cure where there is one."""

    hint: str | None


class Unwritable(OSError):
    """One of our own streams takes no more; `str()` is the sentence."""


@contextlib.contextmanager
def writing(stream: TextIO, name: str) -> Iterator[None]:
    """What is done inside fails by `Unwritable` when the stream does; a reader that has gone stays BrokenPipeError."""
    try:
        yield
    except (BrokenPipeError, Unwritable):
        raise
    except OSError as error:
        abandon(stream)
        raise Unwritable(f"{name} cannot be written: {(error.strerror or str(error)).lower()}") from error


def abandon(stream: TextIO) -> None:
    """Let what is still in the stream's buffer go nowhere: Python would fail over it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def printable(text: str) -> str:
    """Escape the control characters in `text`, all but newline and tab."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def is_live() -> bool:
    """Whether a view may redraw itself: both streams are real terminals and no CI is watching."""
    still = os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return not still and sys.stdout.isatty() and sys.stderr.isatty()


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def width() -> int:
    """Columns to lay a report out for; 80 where stdout is no terminal and COLUMNS is not set."""
    return _console(stderr=False).width


def show(output: "str | Text") -> None:
    """Write `output` and a newline to stdout. A string goes out as it is; a rich Text is never wrapped again.

    Raises BrokenPipeError when the reader of a pipe has gone, and Unwritable when there is another reason.
    """
    with writing(sys.stdout, "stdout"):
        if isinstance(output, str):
            sys.stdout.write(output + "\n")
        else:
            _console(stderr=False).print(output, soft_wrap=True)
        sys.stdout.flush()


def say(text: str) -> None:
    """Write one line for people to stderr; raises Unwritable."""
    _to_stderr(printable(text))


def _to_stderr(line: str) -> None:
    with writing(sys.stderr, "stderr"):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def fail(error: Failure) -> None:
    """Show what went wrong and the cure on stderr, under GITHUB_ACTIONS as an annotation too; raises Unwritable."""
    _labelled("error", str(error), "bold red")
    if error.hint:
        say("")
        _labelled("hint", error.hint, "bold cyan")
    if os.environ.get("GITHUB_ACTIONS"):
        annotate(f"{error}\n{error.hint}" if error.hint else str(error))


def _labelled(label: str, text: str, style: str) -> None:
    from rich.text import Text

    line = Text.assemble((f"{label}:", style), " ", printable(text))
    with writing(sys.stderr, "stderr"):
        _console(stderr=True).print(line, soft_wrap=True)


def annotate(message: str, title: str = "smallrtc") -> None:
    """Write a GitHub Actions error annotation to stderr; the runner reads commands from both streams."""
    _to_stderr(f"::error title={_property(title)}::{_escaped(printable(message))}")


def _escaped(text: str) -> str:
    """Escape a workflow command's message (actions/toolkit, `escapeData`)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a workflow command's property (actions/toolkit, `escapeProperty`)."""
    return _escaped(printable(text)).replace(":", "%3A").replace(",", "%2C")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at the moment: a live view takes lines that come beside it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Lines(logging.Formatter):
    """`warning: sentence`; with `detailed`, the time and the logger before it."""

    def __init__(self, *, detailed: bool) -> None:
        super().__init__("%(name)s: %(message)s" if detailed else "%(message)s")
        self._detailed = detailed

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname.lower()}: {super().format(record)}"
        return printable(f"{self.formatTime(record, '%H:%M:%S')} {line}" if self._detailed else line)


def logging_setup(verbosity: int) -> None:
    """Send log records to stderr: 0 our warnings, 1 what we do, 2 all of it, with aiortc's and aioice's.

    Only these loggers are touched: a bot's own logging stays the bot's. Calling it again replaces the first
    set-up.
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    handler = _Stderr()
    handler.set_name(_HANDLER)
    handler.setFormatter(_Lines(detailed=verbosity >= 2))
    _direct("smallrtc_cli", handler, level)
    for library in ("aiortc", "aioice"):
        _direct(library, handler if verbosity >= 2 else logging.NullHandler(), level)


def _direct(name: str, handler: logging.Handler, level: int) -> None:
    logger = logging.getLogger(name)
    handler.set_name(_HANDLER)
    for earlier in [known for known in logger.handlers if known.get_name() == _HANDLER]:
        logger.removeHandler(earlier)
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
