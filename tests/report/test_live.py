"""The view of running sessions: its words, and what it leaves of the terminal."""

import io
import sys

import pytest
from rich.console import Console

from smallrtc_cli.report.live import LiveView, SessionRow, cells, sessions_table

ROW = SessionRow("a3f9", "connected", 54.9, 12.4, 0.2, 3.0, -21.2, -18.0, "running")


def text(renderable, width=100):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


def test_every_figure_of_a_row_has_its_unit():
    assert cells(ROW) == ["a3f9", "connected", "0:54", "12 ms", "0.2 %", "3 ms", "▅ -21 dB", "▆ -18 dB", "running"]


def test_what_is_not_known_yet_is_a_dash():
    assert cells(SessionRow("a3f9", "connecting", 0.0)) == ["a3f9", "connecting", "0:00", *["–"] * 5, ""]


def test_the_table_has_a_row_for_each_session_in_eighty_columns():
    header, *rows = text(sessions_table([ROW, ROW, ROW]), width=80).splitlines()
    assert header.split() == ["session", "state", "for", "rtt", "loss", "jitter", "in", "out", "bot"]
    assert len(rows) == 3
    assert all("-21 dB" in row and row.rstrip().endswith("running") for row in rows)


def test_without_a_session_it_is_one_quiet_line():
    assert text(sessions_table([])) == " no calls\n"


class Tty(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Put one in the place of both streams; to be called in the test, since pytest sets its own before that."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", Tty())
    monkeypatch.setattr(sys, "stdout", Tty())
    return sys.stderr


@pytest.mark.parametrize("error", [None, KeyError("a bug")])
def test_the_cursor_comes_back_and_the_streams_too_whatever_happens(monkeypatch, error):
    stderr = terminal(monkeypatch)
    stdout = sys.stdout

    def show():
        with LiveView() as view:
            view.show([ROW])
            view.say("14:02:11  a3f9  connected in 38 ms")
            if error:
                raise error

    if error:
        with pytest.raises(KeyError):
            show()
    else:
        show()
    written = stderr.getvalue()
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert "a3f9" in written
    assert "14:02:11  a3f9  connected in 38 ms" in written
    assert (sys.stderr, sys.stdout) == (stderr, stdout)


def test_markup_in_a_line_is_text_and_a_long_line_is_not_wrapped(monkeypatch):
    stderr = terminal(monkeypatch)
    line = "[bold]x[/bold] :smile: " + "y" * 150
    with LiveView() as view:
        view.say(line)
    assert line in stderr.getvalue()
