"""The view on a terminal: what it writes, and what it leaves."""

import contextlib
import os
import pty
import sys
from dataclasses import replace

import pytest

from smallrtc_cli.console import Unwritable
from smallrtc_cli.report import call_view
from smallrtc_cli.report.call_drawing import draw
from smallrtc_cli.report.call_picture import CallPicture, Line, Voice
from smallrtc_cli.report.call_view import CallView

CALL = CallPicture("localhost:7860", "connected", Voice("my microphone"), Voice("my speaker"))


@pytest.fixture
def screen(monkeypatch):
    """A terminal in the place of stderr and stdout; gives what reads all that was written to it."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        os.set_blocking(ours, False)
        yield Screen(ours, stream)
    os.close(ours)


class Screen:
    def __init__(self, ours, stream):
        self.ours, self.stream = ours, stream

    def use(self, monkeypatch):
        """To be called in the test, since pytest sets streams of its own before that."""
        monkeypatch.setattr(sys, "stderr", self.stream)
        monkeypatch.setattr(sys, "stdout", self.stream)
        return self

    def read(self):
        pieces = []
        try:
            while True:
                pieces.append(os.read(self.ours, 65_536))
        except BlockingIOError:
            return b"".join(pieces).decode()


@pytest.mark.parametrize("error", [None, KeyError("a bug")])
def test_the_cursor_and_the_streams_come_back_whatever_happens(screen, monkeypatch, error):
    stream = screen.use(monkeypatch).stream

    def show():
        with CallView() as view:
            view.show(CALL)
            if error:
                raise error

    if error:
        with pytest.raises(KeyError):
            show()
    else:
        show()
    written = screen.read()
    assert "localhost:7860" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert (sys.stderr, sys.stdout) == (stream, stream)


def test_a_picture_that_did_not_change_is_not_written_again(screen, monkeypatch):
    screen.use(monkeypatch)
    with CallView() as view:
        view.show(CALL)
        screen.read()
        view.show(replace(CALL))
        assert screen.read() == ""
        view.show(replace(CALL, state="lost"))
        assert "my speaker" not in screen.read()


def test_what_is_said_and_printed_is_above_and_steers_nothing(screen, monkeypatch):
    screen.use(monkeypatch)
    with CallView() as view:
        view.show(CALL)
        screen.read()
        for say in (view.say, print, lambda text: sys.stderr.write(f"{text}\n")):
            say("one\x1b[2J")
            written = screen.read()
            assert written.index("one\\x1b[2J\r\n") < written.index("localhost:7860")
        view.say(Line("bot", "hello\x07"))
        assert "hello\\x07\r\n" in screen.read()


def test_a_flood_of_lines_is_no_flood_of_drawings(screen, monkeypatch):
    screen.use(monkeypatch)
    drawings = []

    def counted(*arguments):
        drawings.append(arguments)
        return draw(*arguments)

    monkeypatch.setattr(call_view, "draw", counted)
    with CallView() as view:
        view.show(CALL)
        for number in range(20):
            view.say(f"message {number}")
            assert "localhost:7860" in screen.read()
        assert len(drawings) == 1


def test_half_a_line_waits_for_the_rest_and_is_not_lost_at_the_end(screen, monkeypatch):
    screen.use(monkeypatch)
    with CallView():
        print("one ", end="")
        assert "one" not in screen.read()
        print("two\nthree", end="")
        assert "one two\r\n" in screen.read()
    assert "three\r\n" in screen.read()


def test_nothing_is_drawn_while_it_is_suspended_and_what_is_said_is_kept(screen, monkeypatch):
    screen.use(monkeypatch)
    with CallView() as view:
        view.show(CALL)
        view.suspend()
        assert screen.read().endswith("\x1b[?25h")
        view.show(replace(CALL, state="lost"))
        view.say("a line")
        assert screen.read() == "a line\r\n"
        view.resume()
        resumed = screen.read()
        assert resumed.startswith("\x1b[?25l")
        assert "lost" in resumed


@pytest.mark.parametrize("no_color", [False, True])
def test_no_color_is_respected(screen, monkeypatch, no_color):
    screen.use(monkeypatch)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    with CallView() as view:
        view.show(replace(CALL, notice="the microphone is gone", me=Voice("mic", [-3.0], -3.0)))
    written = screen.read()
    assert ("\x1b[33m" in written) is not no_color
    assert ("\x1b[32m" in written) is not no_color


def test_a_terminal_that_stands_still_does_not_make_the_call_stand_still(screen, monkeypatch):
    stream = screen.use(monkeypatch).stream
    with CallView() as view:
        os.set_blocking(stream.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            while os.write(stream.fileno(), b"x" * 1024):
                pass
        os.set_blocking(stream.fileno(), True)
        view.show(CALL)  # would wait for ever
        assert "localhost" not in screen.read()
        view.show(CALL)
        assert "localhost" in screen.read()


def test_a_terminal_that_has_gone_is_one_sentence_and_leaving_is_quiet(screen, monkeypatch):
    stream = screen.use(monkeypatch).stream
    with CallView() as view:
        view.show(CALL)
        os.dup2(os.open(os.devnull, os.O_RDWR), screen.ours)
        with pytest.raises(Unwritable, match="stderr cannot be written"):
            view.say("anything")
    assert sys.stderr is stream


def test_before_the_first_picture_lines_are_lines(screen, monkeypatch):
    screen.use(monkeypatch)
    with CallView() as view:
        screen.read()
        view.say("connecting")
        assert screen.read() == "connecting\r\n"
