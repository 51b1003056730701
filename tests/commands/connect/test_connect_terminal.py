"""The live view of a call in a real terminal: what it shows, what its keys do to the call, what it leaves behind."""

import asyncio
import contextlib
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from calls import until
from connecting import SILENT
from lying import serving
from served import Served, served
from terminals import Terminal, terminal

from smallrtc_cli.errors import ExitCode

BOT = """
import asyncio, json
from smallrtc_cli import SmallWebRTCTransport, TransportParams
from smallrtc_cli.bots.tone import pieces

PARAMS = TransportParams(audio_in_enabled=True, audio_out_enabled=True, video_in_enabled=True)
SAID = [
    {"type": "user-transcription", "data": {"text": "is it cold", "final": True, "user_id": "u", "timestamp": "t"}},
    {"type": "bot-transcription", "data": {"text": "It is four degrees."}},
]


async def bot(runner_args):
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, PARAMS)

    @transport.event_handler("on_app_message")
    async def on_app_message(transport, message, sender):
        print("message", json.dumps(message))
        if message.get("type") == "client-ready":
            for each in SAID:
                await transport.send_message({"label": "rtvi-ai"} | each)
            await transport.send_message({"weather": "rain"})

    @transport.event_handler("on_client_reconnected")
    async def on_client_reconnected(transport, client):
        print("reconnected")

    @transport.connection.event_handler("track-status")
    async def on_track_status(connection, index, enabled):
        print("track", index, enabled)

    await transport.start()
    while True:
        for piece in pieces():
            await transport.output().write(piece)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bot")
    (path / "bot.py").write_text(BOT)
    return path


@pytest.fixture(scope="module")
def server(folder):
    with served(folder) as process:
        yield process


def command(url: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "smallrtc_cli", "connect", url, *SILENT, *arguments]


@contextlib.asynccontextmanager
async def calling(server: Served, *arguments: str) -> AsyncIterator[Terminal]:
    """A terminal with a call in it that is up."""
    url = await server.url()
    async with terminal() as opened:
        opened.run(*command(url, *arguments))
        await opened.shows("connected 0:")
        yield opened


async def said(server: Served, line: str) -> None:
    """The bot of the last call has printed this."""
    session = server.named("offered")[-1]["session"]
    await until(lambda: server.named("said", line=line, session=session), 20)


async def seen(call: Terminal, pattern: str, since: int = 0) -> None:
    """It has been on the terminal, of whatever colour."""
    await until(lambda: re.search(pattern, re.sub(r"\x1b\[[0-9;]*m", "", call.text[since:])), 20)


async def quit_by(call: Terminal, code: int = 0) -> None:
    assert await call.ended() == code, call.text[-2000:]
    await until(lambda: call.is_as_before, 20)


async def test_the_picture_shows_state_levels_and_what_is_said(server):
    async with calling(server) as call:
        for pattern in (
            "you +is it cold",
            "bot +It is four degrees[.]",
            '{"weather": "rain"}',
            "connected 0:0[0-9] +host to host, udp",
            "rtt +[0-9]+ ms +jitter +[0-9]+ ms +loss +[0-9.]+ %",
            "you +nothing +▁+ +silence",
            "bot +nowhere +[▁-█]+ +[-−][0-9]+ dBFS",
            "m mute .* q quit",
        ):
            await seen(call, pattern)
        call.type("q")
        await quit_by(call)
        assert "ended: you hung up" in call.text


async def test_keys_act_on_the_call(server):
    async with calling(server) as call:
        place = call.type("m")
        await call.shows("muted", place)
        await said(server, "track 0 False")
        call.type("m")
        await said(server, "track 0 True")

        place = call.type("t")
        await call.shows("enter send", place)
        call.type("good evening\r")
        await until(lambda: any('"good evening"' in each["line"] for each in server.named("said")), 20)
        await seen(call, "you +good evening", place)

        call.type("t")
        call.type('/json {"a": 1}\r')
        await said(server, 'message {"a": 1}')
        place = call.type("t/json nonsense\r")
        await call.shows("not sent: ", place)

        place = call.type("s")
        await call.shows("security", place)
        place = call.type("?")
        await call.shows("push to talk", place)

        before, place = len(server.named("offered")), call.type("r")
        await said(server, "reconnected")
        await call.shows("back in", place)
        assert len(server.named("offered")) == before
        call.type("q")
        await quit_by(call)


async def test_the_camera_and_push_to_talk_have_keys(server):
    async with calling(server, "--video-from", "test", "--push-to-talk") as call:
        await call.shows("space to talk")
        place = call.type(" ")
        await call.shows("talking", place)
        await said(server, "track 0 True")
        call.type("v")
        await said(server, "track 1 False")
        call.type("v")
        await said(server, "track 1 True")
        call.type("q")
        await quit_by(call)


async def test_a_resize_lays_it_out_anew(server):
    async with calling(server) as call:
        place = len(call.text)
        call.resize(50)
        await call.shows("m mute   t type   ? keys   q quit", place)
        place = len(call.text)
        call.resize(120)
        await call.shows("s statistics", place)
        call.type("q")
        await quit_by(call)


@pytest.mark.parametrize(
    ("way", "code"), [("\x03", ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.OK), (signal.SIGHUP, -signal.SIGHUP)]
)
async def test_the_terminal_is_given_back_however_it_ends(server, way, code):
    async with calling(server) as call:
        if isinstance(way, str):
            call.type(way)
        else:
            call.process.send_signal(way)
        await quit_by(call, code)
        assert "Traceback" not in call.text
        assert ("ended: you pressed Ctrl-C" in call.text) is (way == "\x03")


@pytest.mark.parametrize(("way", "code"), [("q", 0), (signal.SIGTERM, 0), ("\x03", ExitCode.INTERRUPTED)])
async def test_a_call_that_does_not_come_up_can_be_given_up(way, code):
    never = asyncio.Event()

    async def nothing(_: object) -> web.Response:
        await never.wait()
        return web.Response()

    async with serving(nothing) as url, terminal() as opened:
        opened.run(*command(f"{url}/api/offer"))
        await opened.shows("q quit")
        if isinstance(way, str):
            opened.type(way)
        else:
            opened.process.send_signal(way)
        await quit_by(opened, code)
        assert "error:" not in opened.text
        never.set()


async def test_ctrl_z_gives_the_terminal_to_the_shell_and_the_call_goes_on_after_it(server):
    url = await server.url()
    async with terminal() as shell:
        shell.run("bash", "--norc", "--noprofile", "--noediting", "-i")
        shell.type(shlex.join(command(url)) + "\n")
        await shell.shows("connected 0:")
        await shell.shows("q quit")
        place = shell.type("\x1a")
        await shell.shows("Stopped", place)
        await until(lambda: shell.is_as_before)
        place = shell.type("fg\n")
        await shell.shows("q quit", place)
        place = shell.type("q")
        await shell.shows("ended: you hung up", place)
        await until(lambda: shell.is_as_before)
        shell.type("exit\n")
        await shell.ended()


async def test_a_server_that_is_killed_leaves_an_error_below_the_view(folder):
    with served(folder) as doomed:
        async with calling(doomed, "--reconnect", "0") as call:
            place = len(call.text)
            doomed.send(signal.SIGKILL)
            await until(lambda: call.process.poll() is not None, 40)
            await quit_by(call, ExitCode.CANNOT_RUN)
            end = await call.shows("hint:", place)
            assert "error: the server went away" in end[end.rindex("q quit") :]
