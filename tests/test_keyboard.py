"""Keys in a real terminal, and the terminal afterwards, together with the view of a call."""

import asyncio
import io
import os
import pty
import signal
import sys
import termios
from collections.abc import AsyncIterator

import pytest
from calls import until
from terminals import Terminal, terminal

from smallrtc_cli import keyboard
from smallrtc_cli.keyboard import Keyboard

CALL = """
import asyncio, os, sys, time
from smallrtc_cli.keyboard import Keyboard
from smallrtc_cli.report.call_picture import CallPicture, Voice
from smallrtc_cli.report.call_view import CallView

PICTURE = CallPicture("localhost:7860", "connected", Voice("my microphone"), Voice("my speaker"), path="host udp")

async def draw(view):
    while True:
        view.show(PICTURE)
        await asyncio.sleep(0.02)

async def call():
    with CallView() as view:
        async with Keyboard(suspended=view.suspend, resumed=view.resume) as keys:
            drawing = asyncio.create_task(draw(view))
            view.say("ready")
            async for key in keys:
                match key:
                    case "q": break
                    case "x": raise KeyError("a bug")
                    case "h": view.say("hanging"); time.sleep(60)
                    case "e": keys.restore(); os._exit(7)
                    case "p": print("printed \\x1b[2J", file=sys.stderr)
                    case _: view.say(f"key <{key}>")
            drawing.cancel()

async def forgetful():
    await Keyboard().__aenter__()
    os.write(2, b"ready")
    await asyncio.sleep(0.1)
    sys.exit(3)

asyncio.run(forgetful() if sys.argv[1:] else call())
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "call.py"
    path.write_text(CALL)
    return path


@pytest.fixture
async def call(script) -> AsyncIterator[Terminal]:
    async with terminal() as opened:
        opened.run(sys.executable, script)
        await opened.shows("ready")
        await opened.shows("q quit")
        yield opened


async def test_keys_arrive_one_by_one_without_their_echo(call):
    since = call.type("m ?é日\x1b[A\r\x7f")
    for key in ("m", " ", "?", "é", "日", "up", "enter", "backspace"):
        await call.shows(f"key <{key}>", since)
    call.type("\x1b")
    await call.shows("key <escape>", since)
    call.type("\x15")
    assert "^" not in await call.shows("key <ctrl-u>", since)
    local = call.modes[3]
    assert not local & (termios.ECHO | termios.ICANON)
    assert local & termios.ISIG


async def test_the_lines_of_a_paste_are_not_submitted(call):
    since = call.type("\x1b[200~a\nb\x1b[201~")
    assert "key <enter>" not in await call.shows("key <b>", since)


async def test_at_the_end_the_terminal_is_as_before_and_the_picture_has_gone(call):
    assert not call.is_as_before
    call.type("q")
    assert await call.ended() == 0
    await until(lambda: call.is_as_before)
    assert call.text.rstrip().endswith("\x1b[?25h")


@pytest.mark.parametrize(("key", "code"), [("x", 1), ("e", 7), ("\x03", -signal.SIGINT)])
async def test_an_error_leaving_at_once_and_ctrl_c_give_the_terminal_back(call, key, code):
    call.type(key)
    assert await call.ended() == code
    await until(lambda: call.is_as_before)
    if key == "x":
        assert await call.shows("KeyError: 'a bug'", call.text.rindex("\x1b[?25h"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("hangs", [False, True])
async def test_a_signal_that_ends_the_process_gives_the_terminal_back_even_if_the_loop_hangs(call, number, hangs):
    if hangs:
        call.type("h")
        await call.shows("hanging")
    call.process.send_signal(number)
    assert await call.ended() == -number
    await until(lambda: call.is_as_before)


async def test_a_forgotten_keyboard_gives_the_terminal_back_at_exit(script):
    async with terminal() as opened:
        opened.run(sys.executable, script, "forgetful")
        await opened.shows("ready")
        assert await opened.ended() == 3
        await until(lambda: opened.is_as_before)


async def test_the_cursor_comes_back_where_stdin_is_no_terminal_too(script):
    async with terminal() as opened:
        opened.run("bash", "-c", f"exec {sys.executable} {script} </dev/null")
        await opened.shows("q quit")
        opened.process.send_signal(signal.SIGTERM)
        assert await opened.ended() == -signal.SIGTERM
        await until(lambda: opened.is_as_before)
        assert "\x1b[?25l" in opened.text


async def test_a_resize_lays_the_picture_out_anew(call):
    assert "my microphone" in call.text
    since = len(call.text)
    call.resize(50)
    shown = await call.shows("m mute   t type   ? keys   q quit", since)
    assert "my microphone" not in shown[shown.rindex("localhost:7860") :]
    call.resize(100, rows=8)
    await call.shows("r reconnect", since)
    assert call.type("q") > since
    assert await call.ended() == 0


async def test_what_is_printed_meanwhile_goes_above_and_does_not_steer_the_terminal(call):
    call.type("p")
    await call.shows("printed \\x1b[2J")
    assert "\x1b[2J" not in call.text


async def test_ctrl_z_without_a_shell_to_return_to_changes_nothing(call):
    since = call.type("\x1a")
    await call.shows("\x1b[?25h", since)
    await call.shows("q quit", since)
    call.type("k")
    await call.shows("key <k>", since)
    assert not call.is_as_before


async def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(script):
    async with terminal() as shell:
        shell.run("bash", "--norc", "--noprofile", "--noediting", "-i")
        shell.type(f"{sys.executable} {script}\n")
        await shell.shows("ready")
        await shell.shows("q quit")

        since = shell.type("\x1a")
        stopped = await shell.shows("Stopped", since)
        assert "\x1b[?25h" in stopped
        assert shell.is_as_before
        await calculated(shell, 1)

        since = shell.type("fg\n")
        await shell.shows("q quit", since)
        shell.type("k")
        await shell.shows("key <k>", since)
        assert not shell.is_as_before

        since = shell.type("\x1a")
        await shell.shows("Stopped", since)
        shell.type("bg\n")
        await calculated(shell, 2)
        since = shell.type("jobs\n")
        background = await shell.shows("Running", since)
        assert "q quit" not in background
        assert shell.is_as_before

        since = shell.type("fg\n")
        await shell.shows("q quit", since)
        since = shell.type("l")
        await shell.shows("key <l>", since)

        since = shell.type("q")
        await shell.shows("$ ", since)
        assert shell.is_as_before
        shell.type("exit\n")
        await shell.ended()


async def calculated(shell: Terminal, number: int) -> None:
    """The shell has the terminal: it does what is typed."""
    since = shell.type(f"echo is $(({number} + 40)).\n")
    await shell.shows(f"is {number + 40}.", since)


# In this process


@pytest.fixture
def stdin(monkeypatch):
    """A terminal in the place of stdin; gives the end to type at."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield ours
    os.close(ours)


async def test_without_a_terminal_it_waits_for_ever_and_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("keys?"))
    async with Keyboard() as keys:
        waiting = asyncio.ensure_future(anext(keys))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        waiting.cancel()
        assert not done
        keys.restore()


async def test_keys_that_nobody_reads_are_dropped_and_counted(stdin, monkeypatch):
    monkeypatch.setattr(keyboard, "_WAITING", 3)
    async with Keyboard() as keys:
        os.write(stdin, b"abcde")
        await until(lambda: keys.dropped == 2)
        assert [await anext(keys) for _ in range(3)] == ["a", "b", "c"]
        os.write(stdin, b"f")
        assert await anext(keys) == "f"


async def test_signal_handlers_are_as_before_and_those_of_others_stay(stdin):
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT, signal.SIGINT)
    others = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        before = [signal.getsignal(number) for number in numbers]
        async with Keyboard():
            assert signal.getsignal(signal.SIGHUP) is before[1]
            assert signal.getsignal(signal.SIGTERM) is not before[0]
        assert [signal.getsignal(number) for number in numbers] == before
    finally:
        signal.signal(signal.SIGHUP, others)


async def test_a_terminal_that_goes_away_ends_nothing(stdin):
    async with Keyboard() as keys:
        os.write(stdin, b"a")
        assert await anext(keys) == "a"
        os.dup2(os.open(os.devnull, os.O_RDWR), stdin)  # the last of the other end is closed
        waiting = asyncio.ensure_future(anext(keys))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        waiting.cancel()
        assert not done
