"""What is said and what is being typed, as rows of text that fit a terminal."""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from smallrtc_cli.console import printable
from smallrtc_cli.line_editor import clusters
from smallrtc_cli.report.call_picture import Line

_WHO = 5
"Columns of the names of those who speak: `you`, `bot`, `·`."

_PROMPT = " say  "
_BLANK = "\u00a0"  # under the cursor, where trailing spaces are cut off
_STEERING = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # marks that turn the direction of writing
_RULER = Console(file=io.StringIO(), width=80)  # rich asks for one to wrap text; nothing is printed on it


def one_line(text: str) -> str:
    """The text without line ends, and with what could steer a terminal escaped."""
    return _STEERING.sub("", printable(" ".join(text.splitlines()).replace("\t", " ")))


def said(line: Line) -> Text:
    """All of it in one row, however long."""
    row = Text(style="dim" if line.quiet else "").append(f" {one_line(line.who):<{_WHO}}", "bold")
    return row.append(one_line(line.text))


def conversation(lines: Sequence[Line], width: int, room: int) -> list[Text]:
    """The last lines that fit into `room` rows; of the oldest of them the end, if it must be."""
    rows: list[Text] = []
    for line in reversed(lines):
        if len(rows) >= room:
            break
        end = replace(line, text=line.text[-width * room :])  # what is before it has no room in any case
        rows = folded(said(end), width, indent=_WHO + 1) + rows
    return rows[max(len(rows) - room, 0) :]


def folded(row: Text, width: int, indent: int) -> list[Text]:
    """The row, broken between words; what follows its first is indented."""
    rest = row[indent:]
    rows = [*rest.wrap(_RULER, max(width - indent, 1))]
    margins = [row[:indent], *(Text(" " * indent) for _ in rows[1:])]
    return [margin.append_text(each) for margin, each in zip(margins, rows, strict=True)]


def typed(text: str, cursor: int, width: int) -> Text:
    """The part of a line around its cursor, which is a character shown reversed."""
    before, after = clusters(one_line(text[:cursor])), clusters(one_line(text[cursor:]))
    under = _BLANK if not after or after[0] == " " else after[0]
    room = width - len(_PROMPT) - cell_len(under)
    left = "".join(reversed(_fitting(reversed(before), room)))
    right = "".join(_fitting(after[1:], room - cell_len(left)))
    return Text.assemble((_PROMPT, "bold"), left, (under, "reverse"), right)


def _fitting(pieces: Iterable[str], cells: int) -> list[str]:
    """The first of them that fit."""
    taken: list[str] = []
    for piece in pieces:
        cells -= cell_len(piece)
        if cells < 0:
            break
        taken.append(piece)
    return taken
