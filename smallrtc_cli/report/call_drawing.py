"""A picture of a call as rows of text: pure, for any terminal of 40 columns and more.

Columns and rows have places of their own that depend on the width alone, so that nothing moves when a figure
changes. Where the height does not suffice, empty rows go first, then the oldest lines, then what is folded out.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from smallrtc_cli.report.call_picture import CallPicture, Voice
from smallrtc_cli.report.conversation import conversation, folded, one_line, typed
from smallrtc_cli.report.figures import UNKNOWN, duration, figure, history, level_history

_NARROW = 60
"Columns below which names of devices are left out, and figures take more rows."

KEYS = (
    ("m", "mute", "mute, or open the microphone"),
    ("v", "camera", "stop, or start the camera"),
    ("space", "talk", "push to talk: talk, or stop"),
    ("t", "type", "type a message, or `/json {…}`"),
    ("s", "statistics", "show, or hide statistics"),
    ("r", "reconnect", "reconnect, in the same call"),
    ("?", "keys", "show, or hide these keys"),
    ("q", "quit", "hang up"),
)
_IN_SHORT = "mt?q"
_LEVELS, _RATES = 10, 5
_CLIPPING = -1.0  # dBFS


def draw(picture: CallPicture, width: int, height: int) -> Group:
    """At most `height` rows, none wider than `width`."""
    voices = [_voice("you", picture.me, width), _voice("bot", picture.bot, width)]
    bottom = [*_notice(picture, width), *_typing(picture, width), _footer(picture, width)]
    room = height - 1 - len(voices) - len(bottom)
    figures = _figures(picture, width)[: max(room, 0)]
    room -= len(figures)
    table = _table(picture, width)[: max(room - 1, 0)]
    said = conversation(picture.lines, width, max(room - len(table), 0))
    rows = _spaced([[_heading(picture, width), *figures, *voices], said, table, bottom], height)
    return Group(*(_fitted(row, width) for row in rows[:height]))


def _spaced(blocks: Sequence[Sequence[Text]], height: int) -> list[Text]:
    """The blocks below each other, an empty row between them while there is room."""
    present = [[*block] for block in blocks if block]
    spare = height - sum(map(len, present))
    for block in present[: max(0, min(spare, len(present) - 1))]:
        block.append(Text())
    return [row for block in present for row in block]


def _fitted(row: Text, width: int) -> Text:
    row.no_wrap = True
    if spaces := len(row.plain) - len(row.plain.rstrip(" ")):
        row.right_crop(spaces)
    row.truncate(width, overflow="ellipsis")
    return row


def _heading(picture: CallPicture, width: int) -> Text:
    state = one_line(picture.state)
    if picture.seconds is not None:
        state += f" {duration(picture.seconds)}"
    place = Text(one_line(picture.place), "bold")
    place.truncate(max(width - cell_len(state) - 4, 12), overflow="ellipsis")
    row = Text.assemble(" ", place, "   ", state)
    return row if width < _NARROW else row.append(f"   {one_line(picture.path)}", "dim")


def _figures(picture: CallPicture, width: int) -> list[Text]:
    rate = picture.kbit_per_s[-1] if picture.kbit_per_s else None
    figures = [
        f"rtt {figure(picture.round_trip_ms, 'ms'):>7}",
        f"jitter {figure(picture.jitter_ms, 'ms'):>6}",
        f"loss {figure(picture.loss_percent, '%', digits=1):>6}",
        f"buffer {figure(picture.buffer_ms, 'ms'):>7}",
        f"{figure(rate, 'kbit/s'):>11} {history(picture.kbit_per_s[-_RATES:]):<{_RATES}}",
    ]
    path = [] if width >= _NARROW else [Text(f" {one_line(picture.path) or UNKNOWN}", "dim")]
    return [*_packed(figures, width), *path]


def _packed(figures: Iterable[str], width: int) -> list[Text]:
    """As many in a row as fit, whatever they say: each has a width of its own."""
    rows = [""]
    for each in figures:
        if rows[-1] and len(rows[-1]) + 2 + len(each) > width:
            rows.append("")
        rows[-1] += f"  {each}" if rows[-1] else f" {each}"
    return [Text(row) for row in rows]


def _voice(who: str, voice: Voice, width: int) -> Text:
    row = Text(f" {who}  ")
    if width >= _NARROW:
        name = Text(one_line(voice.name))
        name.truncate(width // 4, overflow="ellipsis", pad=True)
        row.append_text(name).append("  ")
    clips = voice.dbfs is not None and voice.dbfs >= _CLIPPING
    row.append(f"{level_history(voice.levels[-_LEVELS:]):>{_LEVELS}}", "red" if clips else "green")
    silent = voice.dbfs == float("-inf")
    row.append(f"  {'silence' if silent else figure(voice.dbfs, 'dBFS'):>9}")
    return row.append(f"  {one_line(voice.note)}")


def _notice(picture: CallPicture, width: int) -> list[Text]:
    notice = one_line(picture.notice)
    return folded(Text(f" {notice}", "yellow"), width, indent=1)[:3] if notice else []


def _typing(picture: CallPicture, width: int) -> list[Text]:
    return [] if picture.typing is None else [typed(*picture.typing, width)]


def _footer(picture: CallPicture, width: int) -> Text:
    if picture.typing is not None:
        pairs = [("enter", "send"), ("esc", "cancel"), ("↑", "earlier")]
    else:
        pairs = [(key, short) for key, short, _ in KEYS if (key in _IN_SHORT or width >= 80) and key != "space"]
    row = Text(style="dim")
    for key, short in pairs:
        row.append(f"  {key}" if row else f" {key}", "bold").append(f" {short} ")
    return row


def _table(picture: CallPicture, width: int) -> list[Text]:
    """The keys while they are asked for, or the statistics: in two columns where these fit."""
    if picture.keys:
        return [Text.assemble(" ", (f"{key:<5}", "bold"), f"  {what}") for key, _, what in KEYS]
    pairs = picture.statistics or ()
    names = max((len(name) for name, _ in pairs), default=0)
    cells = [f"{one_line(name):<{names}}  {one_line(value) or UNKNOWN}" for name, value in pairs]
    half = (len(cells) + 1) // 2 if width >= 80 else len(cells)
    columns = zip_longest(cells[:half], cells[half:], fillvalue="")
    return [_side_by_side(left, right, width // 2) for left, right in columns]


def _side_by_side(left: str, right: str, column: int) -> Text:
    row = Text(f" {left}", "dim")
    if right:
        row.truncate(column - 1, overflow="ellipsis", pad=True)
        row.append(f" {right}")
    return row
