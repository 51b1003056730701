"""A view of running sessions that redraws itself below the lines that scroll by; it knows no command."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from smallrtc_cli.report.figures import duration, figure, level


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session; None stands where nothing is known yet."""

    session: str
    state: str
    seconds: float
    round_trip_ms: float | None = None
    loss_percent: float | None = None
    jitter_ms: float | None = None
    level_in: float | None = None
    level_out: float | None = None
    "dBFS."

    bot: str = ""


def sessions_table(rows: Sequence[SessionRow]) -> Table | Text:
    """What UX sketches: a row a session, or one quiet line where there is none."""
    if not rows:
        return Text(" no calls", style="dim")
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("session", "state", "for", "rtt", "loss", "jitter", "in", "out", "bot"):
        table.add_column(name, justify="right" if name in {"for", "rtt", "loss", "jitter"} else "left", no_wrap=True)
    for row in rows:
        table.add_row(*cells(row))
    return table


def cells(row: SessionRow) -> list[str]:
    """The words of a row."""
    return [
        row.session,
        row.state,
        duration(row.seconds),
        figure(row.round_trip_ms, "ms"),
        figure(row.loss_percent, "%", digits=1),
        figure(row.jitter_ms, "ms"),
        level(row.level_in),
        level(row.level_out),
        row.bot,
    ]


class LiveView:
    """Draws on a terminal's stderr between `with` and its end, which restores the terminal whatever happens."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = Live(
            sessions_table(()), console=self._console, auto_refresh=False, redirect_stdout=True, redirect_stderr=True
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.update(Text(""), refresh=True)
        self._live.__exit__(kind, error, traceback)

    def show(self, rows: Sequence[SessionRow]) -> None:
        """Draw the sessions anew."""
        self._live.update(sessions_table(rows), refresh=True)

    def say(self, line: str) -> None:
        """Write a line above."""
        self._console.print(line, soft_wrap=True)
