"""A user's traceback: from the user's file on, without the machinery that called it."""

import importlib
import traceback
from itertools import dropwhile
from pathlib import Path

_OURS = str(Path(__file__).resolve().parent.parent)
_IMPORTLIB = str(Path(importlib.__file__).resolve().parent)


def user_traceback(error: BaseException) -> str:
    """What Python would print, but that the frames before the user's own, and those of `import`, are left out."""
    told = traceback.TracebackException.from_exception(error)
    _trim(told)
    return "".join(told.format()).rstrip()


def _trim(told: traceback.TracebackException) -> None:
    frames: list[traceback.FrameSummary] = [frame for frame in told.stack if not _of_import(frame)]
    told.stack = traceback.StackSummary()
    told.stack.extend(dropwhile(_of_machinery, frames))
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _trim(other)


def _of_import(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(("<frozen importlib", _IMPORTLIB))


def _of_machinery(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(_OURS)
