"""Rows at the bottom of a terminal that are redrawn in place. Pure: gives the codes to write.

Between the writes the cursor rests at the start of the last row. Only rows that changed are written again. Where the
terminal became narrower the rows that no longer fit were broken, as today's terminals do it; xterm cuts them instead,
and loses as many rows of what is above. What tmux moved to its history meanwhile stays there.
"""

import re
from collections.abc import Sequence

from rich.cells import cell_len

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_UP, _ERASE_ROW = "\x1b[A", "\x1b[2K"  # not all below at once: tmux would keep that in its history
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"  # a character that is wider than thought must not make a row two


class Region:
    """Knows what it drew last, and how wide the terminal was."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._width = 0

    def painted(self, rows: Sequence[str], width: int) -> str:
        """Draw these rows; nothing where they are there already."""
        same_shape = width == self._width and len(rows) == len(self._rows)
        if same_shape and [*rows] == self._rows:
            return ""
        if same_shape:
            changed = ["" if old == new else _ERASE_ROW + new for old, new in zip(self._rows, rows, strict=True)]
            codes = "\r" + _UP * (len(rows) - 1) + "\r\n".join(changed)
        else:
            codes = self.cleared(width) + "\r\n".join(rows)
        self._rows, self._width = [*rows], width
        return f"{_NO_WRAP}{codes}\r{_WRAP}"

    def cleared(self, width: int) -> str:
        """Take it away; what is written next stands in its place."""
        if not self._rows:
            return ""
        last, above = _height(self._rows[-1], width), sum(_height(row, width) for row in self._rows[:-1])
        self.forget()
        return "\r" + "\n" * (last - 1) + _ERASE_ROW + f"{_UP}{_ERASE_ROW}" * (last - 1 + above)

    def pushed_down(self, text: str, width: int) -> str:
        """Write a text above, and below it what is there: a thousand lines a second cost no thousand drawings."""
        rows, before = self._rows, self._width
        codes = f"{self.cleared(width)}{text}\n"
        return codes + self.painted(rows, width) if rows and width == before else codes

    def forget(self) -> None:
        """Others wrote to the terminal: the next rows start where the cursor is."""
        self._rows = []


def _height(row: str, width: int) -> int:
    return max(1, -(-cell_len(_STYLE.sub("", row)) // width))
