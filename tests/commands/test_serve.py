"""`smallrtc serve` as its users run it: the real command in a process of its own, called over HTTP and UDP."""

import asyncio
import contextlib
import json
import logging
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import wave
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from calls import AUDIO_ONLY, Mailbox, dialed, until
from numpy.typing import NDArray
from served import Served, served
from udp_ports import free_range

from smallrtc_cli import cli
from smallrtc_cli.audio.pcm import InputAudioRawFrame, OutputAudioRawFrame, level_dbfs
from smallrtc_cli.audio.signals import silence, tone
from smallrtc_cli.commands.serve_calls import tell_failure
from smallrtc_cli.errors import ExitCode, OfferRefused
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams
from smallrtc_cli.web.client import HttpExchange

PITCH = 1000.0
RATE = 48_000
SOUND = TransportParams(audio_in_enabled=True, audio_in_sample_rate=RATE, audio_out_enabled=True)

BOT = """
import asyncio, os, threading, time
from smallrtc_cli import SmallWebRTCTransport, TransportParams

print("the module is loaded")

async def bot(runner_args):
    transport = SmallWebRTCTransport(
        runner_args.webrtc_connection,
        TransportParams(audio_in_enabled=True, audio_out_enabled=True),
    )

    @transport.event_handler("on_app_message")
    async def on_app_message(transport, message, sender):
        print("heard", message)
        await transport.send_message({"heard": message})

    print("my words are", *runner_args.cli_args, end="")
    print(" and", os.environ["FROM_DOT_ENV"])
    do = runner_args.body.get("do")
    if do == "tell":
        await transport.send_message({"body": runner_args.body, "voice": runner_args.cli_args.voice})
    if do == "crash":
        await transport.send_message({"about": "to fail"})
        return {}["voice"]
    if do == "refuse to end":
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                print("not me")
    if do == "block a thread":
        await asyncio.to_thread(time.sleep, 60)
    if do == "block the loop":
        await asyncio.sleep(0.2)
        time.sleep(60)

    async for frame in transport.input():      # InputAudioRawFrame(audio, sample_rate, num_channels, pts)
        await transport.output().write(frame)  # or OutputAudioRawFrame(audio, sample_rate, num_channels)
"""

ECHO = """
from smallrtc_cli import SmallWebRTCTransport
async def talk(runner_args):
    transport = SmallWebRTCTransport(runner_args.webrtc_connection)
    @transport.event_handler("on_app_message")
    async def on_app_message(transport, message, sender):
        await transport.send_message({"i am": "VERSION"})
    await transport.wait_closed()
"""


def a_folder(base: Path, name: str, **files: str) -> Path:
    """A folder of a bot developer, with these files in it (`_` in a name stands for the dot)."""
    folder = base / name
    folder.mkdir()
    for file, text in files.items():
        (folder / file.replace("_", ".")).write_text(text)
    return folder


@contextlib.asynccontextmanager
async def called(
    url: str, body: Any = None, **headers: str
) -> AsyncIterator[tuple[SmallWebRTCConnection, SmallWebRTCTransport, Mailbox]]:
    """A call to the bot at a URL, joined, hung up at the end."""
    async with HttpExchange(url, headers=headers) as exchange:
        async with dialed(exchange, replace(AUDIO_ONLY, request_data=body)) as (_, connection):
            transport = SmallWebRTCTransport(connection, SOUND)
            mailbox = Mailbox(transport)
            await transport.start()
            yield connection, transport, mailbox


async def say(transport: SmallWebRTCTransport, sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """Say something, and what is heard from then until as much has come in."""
    saying = asyncio.create_task(transport.output().write(OutputAudioRawFrame(sound.astype("<i2").tobytes(), RATE, 1)))
    heard: list[NDArray[np.int16]] = []
    frame: InputAudioRawFrame
    async for frame in transport.input():
        heard.append(np.frombuffer(frame.audio, "<i2"))
        if sum(map(len, heard)) >= len(sound):
            break
    await saying
    return np.concatenate(heard)


def pitch(sound: NDArray[np.int16]) -> float:
    """Hz of the strongest tone."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * RATE / len(sound))


def loud_part(sound: NDArray[np.int16]) -> slice:
    """From the first to the last audible sample."""
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 500)
    return slice(int(loud[0]), int(loud[-1])) if len(loud) else slice(0, 0)


async def get(url: str, *, status: int = 200, ssl: bool = True, **headers: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=ssl) as response:
        assert response.status == status, await response.text()
        return await response.text()


# One server that is called in many ways


@pytest.fixture(scope="module")
def ports() -> range:
    return free_range(40)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings") / "of" / "today"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ports: range, recordings: Path) -> Iterator[Served]:
    folder = a_folder(tmp_path_factory.mktemp("serve"), "tutor", bot_py=BOT, _env="FROM_DOT_ENV=a secret\n")
    udp_ports = f"{ports[0]}-{ports[-1]}"
    arguments = ("--udp-ports", udp_ports, "--record", recordings, "--", "--voice", "amy", "--port", "1")
    with served(folder, *arguments) as process:
        yield process


async def test_bot_py_is_the_bot_and_stdout_holds_events_only(server):
    url = await server.url()
    ready = server.named("ready")[0]
    assert ready["bot"] == "bot.py:bot"
    assert ready["places"] == [f"http://localhost:{url.rpartition(chr(58))[2]}/"]
    assert "the module is loaded" in server.errors
    assert "<html" in await get(f"{url}/")


async def test_the_readmes_bot_echoes_sound_at_its_pitch_and_level(server):
    async with called(await server.url()) as (_, transport, _):
        sound = tone(PITCH, 1.6, level=-20.0)[:, 0]
        heard = await say(transport, sound)
    loud = heard[loud_part(heard)]
    assert len(loud) > RATE
    middle = loud[len(loud) // 4 : -len(loud) // 4]
    assert pitch(middle) == pytest.approx(PITCH, abs=5)
    assert level_dbfs(middle) == pytest.approx(-20.0, abs=3)


async def test_arguments_body_environment_and_prints_all_arrive(server):
    body = {"do": "tell", "name": "Ada", "nested": [1, None]}
    async with called(await server.url(), body) as (connection, transport, mailbox):
        assert await mailbox.next() == {"body": body, "voice": "amy"}
        await transport.send_message({"n": 1})
        assert await mailbox.next() == {"heard": {"n": 1}}
        session = (await server.event("offered", pc_id=connection.pc_id))["session"]
    ended = await server.event("closed", session=session)
    assert ended["reason"] == "peer-closed"
    await server.event("bot-ended", session=session)
    said = [each["line"] for each in server.named("said", session=session)]
    assert said == ["my words are --voice amy --port 1 and a secret", "heard {'n': 1}"]
    names = [each["event"] for each in server.events if each.get("session") == session]
    assert names[:2] == ["offered", "said"]
    assert {"connected", "bot-ended", "closed"} < set(names)


async def test_the_candidates_ports_are_of_the_range(server, ports):
    async with called(await server.url()) as (connection, _, _):
        pair = connection.peer.agent.nominated_pair()
        lines = [each for each in connection.pc.remoteDescription.sdp.splitlines() if each.startswith("a=candidate:")]
    assert pair.remote_candidate.port in ports
    assert lines
    assert {int(line.split()[5]) for line in lines} <= set(ports)


async def test_a_bot_that_fails_is_told_to_its_caller_and_to_the_log_and_the_server_goes_on(server):
    url = await server.url()
    async with called(url, {"do": "crash"}) as (connection, _, mailbox):
        began = time.monotonic()
        assert await mailbox.next() == {"about": "to fail"}
        error = await mailbox.next()
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert time.monotonic() - began < 5  # P5 says one second; this machine may be busy
        session = (await server.event("offered", pc_id=connection.pc_id))["session"]
    assert connection.close_reason is CloseReason.PEER_LEFT
    assert (error["label"], error["type"]) == ("rtvi-ai", "error")
    assert (error["data"]["error"], error["data"]["fatal"]) == ("KeyError: 'voice'", True)
    lines = error["data"]["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert 'bot.py", line ' in lines[1]
    assert lines[-1] == "KeyError: 'voice'"
    failed = await server.event("bot-failed", session=session)
    assert (failed["error"], failed["traceback"]) == ("KeyError: 'voice'", error["data"]["traceback"])
    assert (await server.event("closed", session=session))["reason"] == "bot-failed"
    async with called(url) as (_, transport, mailbox):
        await transport.send_message({"n": 1})
        assert await mailbox.next() == {"heard": {"n": 1}}


async def test_status_stats_and_metrics_tell_of_a_call(server):
    url = await server.url()
    async with called(url) as (connection, transport, _):
        await say(transport, tone(PITCH, 0.4)[:, 0])
        session = (await server.event("offered", pc_id=connection.pc_id))["session"]
        found = json.loads(await get(f"{url}/stats"))["sessions"][session]
        text = await get(f"{url}/metrics")
    status = json.loads(await get(f"{url}/status"))
    assert (status["status"], status["bot"], status["error"]) == ("ready", "bot.py:bot", None)
    assert (found["state"], found["bot"]) == ("connected", "running")
    assert {"inbound-rtp", "outbound-rtp", "candidate-pair", "local-candidate", "data-channel", "codec"} <= {
        entry["type"] for entry in found["stats"].values()
    }
    received = next(each for each in found["stats"].values() if each["type"] == "inbound-rtp")
    assert received["packetsReceived"] > 0
    assert received["audioLevel"] > 0.01
    assert 'smallrtc_sessions{state="connected"} 1.0' in text
    assert f'smallrtc_session_duration_seconds{{session="{session[:8]}"}}' in text
    await server.event("bot-ended", session=session)
    async with asyncio.timeout(10):  # the session is over when its connection has let go of everything
        while session in json.loads(await get(f"{url}/stats"))["sessions"]:
            await asyncio.sleep(0.05)


async def test_foreign_pages_are_refused(server):
    url = await server.url()
    refused = json.loads(await get(f"{url}/status", status=403, Origin="https://evil.example"))
    assert "evil.example" in refused["detail"]
    await get(f"{url}/status", status=403, Host="evil.example")
    await get(f"{url}/status", Origin=url)


async def test_a_recording_has_the_client_on_the_left_the_bot_on_the_right_and_the_messages(server, recordings):
    async with called(await server.url()) as (connection, transport, mailbox):
        session = (await server.event("offered", pc_id=connection.pc_id))["session"]
        await transport.send_message({"n": "Grüße"})
        await mailbox.next()
        await say(transport, np.concatenate([silence(0.3), tone(PITCH, 1.0), silence(0.5)])[:, 0])
    await server.event("closed", session=session)
    file = next(recordings.glob(f"*{session[:8]}.wav"))
    with wave.open(str(file)) as recorded:
        assert (recorded.getnchannels(), recorded.getframerate()) == (2, RATE)
        client, bot = np.frombuffer(recorded.readframes(recorded.getnframes()), "<i2").reshape(-1, 2).T
    spoken, echoed = loud_part(client), loud_part(bot)
    assert 0.9 * RATE < spoken.stop - spoken.start < 1.6 * RATE  # a busy machine may tear it
    assert 0.9 * RATE < echoed.stop - echoed.start < 1.6 * RATE
    assert -960 <= echoed.start - spoken.start < RATE  # an echo leaves as it comes; a packet is what times are told by
    assert pitch(client[spoken]) == pytest.approx(PITCH, abs=10)
    assert pitch(bot[echoed]) == pytest.approx(PITCH, abs=10)
    lines = [json.loads(line) for line in (recordings / f"{file.stem}.jsonl").read_text("utf-8").splitlines()]
    messages = [(line["from"], line["message"]) for line in lines]
    assert messages == [("client", {"n": "Grüße"}), ("bot", {"heard": {"n": "Grüße"}})]


async def test_two_calls_of_one_session_are_recorded_apart(server, recordings):
    url = await server.url()
    async with aiohttp.ClientSession() as session, session.post(f"{url}/start", json={}) as response:
        session_id = (await response.json())["sessionId"]
    place = f"{url}/sessions/{session_id}/api/offer"
    async with called(place) as (_, one, mailbox), called(place) as (_, other, mailbox_2):
        await one.send_message({"i am": "one"})
        await other.send_message({"i am": "two"})
        await mailbox.next()
        await mailbox_2.next()
    await until(lambda: len(server.named("closed", session=session_id)) == 2)
    files = [*recordings.glob(f"*{session_id[:8]}*.jsonl")]
    heard = [json.loads(file.read_text().splitlines()[0])["message"]["i am"] for file in files]
    assert sorted(heard) == ["one", "two"]


def holdings(pid: int) -> tuple[int, int, float]:
    """Open files, threads, and resident MB of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return files, int(status["Threads"]), int(status["VmRSS"].split()[0]) / 1024


POOL = min(32, (os.cpu_count() or 1) + 4)
"Workers that the loop's default executor may make, one after the other, and keeps (concurrent.futures)."


async def settled(pid: int) -> tuple[int, int, float]:
    """The same, when nothing has gone for half a second: decoders end a moment after their calls."""
    lowest, since = holdings(pid), time.monotonic()
    async with asyncio.timeout(10):
        while time.monotonic() < since + 0.5:
            await asyncio.sleep(0.05)
            if holdings(pid)[:2] < lowest[:2]:
                lowest, since = holdings(pid), time.monotonic()
    return holdings(pid)


async def test_sixty_calls_leave_nothing_behind(server):
    """Every third bot fails (P5), and three callers are there at a time."""
    url = await server.url()
    turn = asyncio.Semaphore(3)

    async def one(number: int) -> None:
        async with turn:
            body = {"do": "crash"} if number % 3 == 0 else {}
            async with called(url, body) as (_, transport, mailbox):
                await transport.send_message({"n": number})
                assert await mailbox.next() == ({"about": "to fail"} if body else {"heard": {"n": number}})

    async def calls(count: int) -> None:
        await asyncio.gather(*(one(number) for number in range(count)))
        await until(lambda: len(server.named("closed")) == len(server.named("offered")))

    await calls(12)
    files, threads, memory = await settled(server.pid)
    await calls(60)
    after = await settled(server.pid)
    assert after[0] <= files + 2
    assert after[1] <= threads + POOL, "threads that are no worker of the loop's own pool"
    assert after[2] <= memory + 8


# What people see, and who may come in


async def test_a_token_and_a_bound_on_sessions_are_kept_and_ctrl_c_ends_politely(tmp_path):
    folder = a_folder(tmp_path, "tutor", bot_py=BOT, _env="FROM_DOT_ENV=1")
    arguments = ("bot.py:bot", "--max-sessions", "1", "--token", "s3cret")
    with served(folder, *arguments, json_lines=False) as server:
        url = await server.printed_url()
        assert "?token=s3cret" in await server.error("  here ")
        await get(f"{url}/status", status=401)
        async with HttpExchange(url) as exchange:
            with pytest.raises(OfferRefused, match="asks for a token") as refused:
                await Dialer(exchange, AUDIO_ONLY).dial()
        assert refused.value.status == 401
        permit = {"Authorization": "Bearer s3cret"}

        async with called(url, **permit) as (_, transport, mailbox):
            await transport.send_message({"n": 1})
            assert await mailbox.next() == {"heard": {"n": 1}}
            async with HttpExchange(url, headers=permit) as exchange:
                with pytest.raises(OfferRefused, match="1 sessions are running") as refused:
                    await Dialer(exchange, AUDIO_ONLY).dial()
            assert refused.value.status == 503
        await server.error("closed (peer-closed)")

        async with called(url, {"do": "crash"}, **permit) as (connection, _, _):
            await asyncio.wait_for(connection.wait_closed(), 10)
        await server.error("closed (bot-failed)")

        async with called(url, **permit) as (connection, transport, mailbox):
            await transport.send_message({"n": 2})
            await mailbox.next()
            code, seconds = await server.stopped()
            await asyncio.wait_for(connection.wait_closed(), 10)
    assert connection.close_reason is CloseReason.PEER_LEFT
    assert code == ExitCode.INTERRUPTED
    assert seconds < 6
    assert server.out == ["the module is loaded\n"]
    assert server.err[0].startswith("smallrtc 0.1.0   bot.py:bot   reload off")
    lines = [line.split(maxsplit=2)[2] for line in server.err if line[:2].isdecimal() and line[2] == ":"]
    for line in (
        "bot says: heard {'n': 1}\n",
        "bot failed: KeyError: 'voice'   the caller was told, the call is closed\n",
    ):
        assert line in lines
    assert any(line.startswith("connected in ") and line.endswith(" ms (host to host, udp)\n") for line in lines)
    assert "Traceback (most recent call last):\n" in lines
    assert "stopping; once more Ctrl-C" in server.errors
    assert not [line for line in server.err if "exception" in line.lower()]


async def test_without_a_bot_it_is_the_echo_bot_and_says_so_and_https_serves_the_page(tmp_path):
    folder = a_folder(tmp_path, "nothing")
    with served(folder, "--https", json_lines=False, XDG_DATA_HOME=str(tmp_path)) as server:
        url = await server.printed_url()
        assert url.startswith("https://")
        assert "<html" in await get(url, ssl=False)
        code, _ = await server.stopped(signal.SIGTERM)
    assert server.err[0].startswith("smallrtc 0.1.0   echo ")
    assert "there is no bot.py here" in server.err[0]
    assert (tmp_path / "smallrtc" / "certificate.pem").stat().st_mode & 0o777 == 0o600
    assert code == ExitCode.OK


# What cannot be served


@contextlib.contextmanager
def signals_as_they_were() -> Iterator[None]:
    """The command sets handlers, as it is the whole process otherwise."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


BROKEN = {
    "a syntax error": ("async def bot(runner_args)\n    pass\n", "bot.py", "SyntaxError: expected ':'"),
    "an import error": ("import os\nimport no_such_thing\n", "bot.py", "No module named 'no_such_thing'"),
    "no function": ("async def tutor(runner_args): ...\n", "bot.py", None),
    "no file": ("", "other.py", None),
}


async def test_a_bot_that_does_not_load_is_shown_with_its_own_traceback_and_nothing_listens(tmp_path):
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(served(a_folder(tmp_path, name, bot_py=source), given))
            for name, (source, given, _) in BROKEN.items()
        }
        for name, (_, _, traceback) in BROKEN.items():
            server = servers[name]
            assert await server.ended() == ExitCode.USAGE, name
            assert server.out == []
            assert "\nhint: " in server.errors or traceback
            if traceback is None:
                assert "Traceback" not in server.errors
                assert server.err[0].startswith("error: ")
            else:
                assert 'bot.py", line ' in server.errors
                assert traceback in server.errors
                assert "smallrtc_cli" not in server.errors
                assert any(line.startswith("error: `bot.py` failed to load: ") for line in server.err)
        assert "it has `bot.py:tutor`" in servers["no function"].errors
        assert "there is no file `other.py`" in servers["no file"].errors


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--interface", "nonsense"], 2, ["no network interface is `nonsense`", "there is `lo` (127.0.0.1"]),
        (["--udp-ports", "9-1"], 2, ["`9-1` is not a range", "50000-50100"]),
        (["--public-ip", "not an address"], 2, ["`not an address` is neither"]),
        (["--ice-servers", "http://x"], 2, ["http://x"]),
        (["--allowed-origins", "example"], 2, ["`example` is not an origin", "https://app.example"]),
        (["--ssl-certfile", "none.pem"], 2, ["`none.pem` cannot be read: no such file", "`--ssl-certfile` takes"]),
        (["--ssl-certfile", __file__], 2, ["cannot be used for HTTPS"]),
        (["--ssl-keyfile", "key.pem"], 2, ["`--ssl-keyfile` needs `--ssl-certfile`"]),
        (["--esp32"], 2, ["an ESP32 cannot reach `localhost`", "`--host`"]),
        (["--reload-dir", "nowhere"], 2, ["`--reload-dir nowhere` is no folder"]),
        (["--record", "/proc/nothing"], 3, ["recordings cannot be kept in `/proc/nothing`", "`--record`"]),
        (["--host", "192.0.2.1"], 3, ["cannot listen on `192.0.2.1` port", "`--host`"]),
    ],
)
def test_what_cannot_be_meant_or_done_is_one_sentence_with_a_cure(monkeypatch, capsys, arguments, code, words):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with signals_as_they_were():
        assert cli.main(["serve", "echo", "--json-lines", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert [each for each in words if each not in err] == []
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_said_in_one_sentence(capsys, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as other, signals_as_they_were():
        port = other.getsockname()[1]
        assert cli.main(["serve", "echo", "--port", str(port)]) == ExitCode.CANNOT_RUN
    error, blank, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: cannot listen on `localhost` port {port}: address already in use"
    assert blank == ""
    assert hint.startswith("hint: ")
    assert "--port" in hint


async def test_work_beside_the_calls_that_fails_is_told(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("smallrtc_cli"), "propagate", True)

    async def watch() -> None:
        raise OSError("no more inotify watches")

    for work in (watch(), asyncio.sleep(0), asyncio.sleep(60)):
        task = asyncio.create_task(work, name="seeing edits")
        task.add_done_callback(tell_failure)
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
    (record,) = caplog.records
    assert record.getMessage() == "seeing edits came to an end"
    assert "inotify" in str(record.exc_info[1])


# The end (P4)


STUBBORN = ("refuse to end", "block a thread", "block the loop")


async def test_whatever_a_bot_does_ctrl_c_ends_the_server_in_five_seconds(tmp_path):
    folder = a_folder(tmp_path, "stubborn", bot_py=BOT, _env="FROM_DOT_ENV=1")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(served(folder)) for _ in STUBBORN]
        urls = await asyncio.gather(*(server.url() for server in servers))
        async with contextlib.AsyncExitStack() as calls:
            for url, do in zip(urls, STUBBORN, strict=True):
                await calls.enter_async_context(called(url, {"do": do}))
            await asyncio.sleep(0.5)  # the loop is blocked by then
            ended = await asyncio.gather(*(server.stopped() for server in servers))
    assert {do: code for do, (code, _) in zip(STUBBORN, ended, strict=True)} == dict.fromkeys(STUBBORN, 130)
    assert {do: seconds for do, (_, seconds) in zip(STUBBORN, ended, strict=True) if seconds >= 6} == {}


async def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
    folder = a_folder(tmp_path, "stubborn", bot_py=BOT, _env="FROM_DOT_ENV=1")
    with served(folder) as server:
        async with called(await server.url(), {"do": "refuse to end"}):
            server.send(signal.SIGINT)
            await server.event("said", line="not me")  # the first is under way, and will take its time
            code, seconds = await server.stopped()
    assert code == ExitCode.INTERRUPTED
    assert seconds < 2


async def test_ctrl_c_while_a_bot_is_imported_ends_it(tmp_path):
    source = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(60)\n"
    with served(a_folder(tmp_path, "slow", bot_py=source)) as server:
        await server.error("importing")
        code, seconds = await server.stopped()
    assert (code, server.out, server.errors) == (ExitCode.INTERRUPTED, [], "importing\n")
    assert seconds < 6


async def test_a_reader_of_the_events_that_goes_does_not_end_the_calls(tmp_path):
    with served(a_folder(tmp_path, "nothing")) as server:
        url = await server.url()
        os.dup2(os.open(os.devnull, os.O_RDONLY), server.process.stdout.fileno())  # closes the pipe's only reader
        async with called(url) as (_, transport, mailbox):
            await transport.send_message({"still": "there"})
            assert await mailbox.next() == {"still": "there"}
        await server.error("warning: nobody reads the events any more")
        code, _ = await server.stopped(signal.SIGTERM)
    assert code == ExitCode.OK
    assert len(server.err) == 1


# Edits


def version(name: str) -> str:
    return ECHO.replace("VERSION", name)


async def what_it_says(transport: SmallWebRTCTransport, mailbox: Mailbox) -> Any:
    await transport.send_message({"which": "are you?"})
    return (await mailbox.next())["i am"]


async def test_an_edit_reaches_new_calls_and_a_broken_one_none(tmp_path):
    pyproject = '[tool.smallrtc]\nbot = "talk.py:talk"\n'
    folder = a_folder(tmp_path, "edited", talk_py=version("first"), pyproject_toml=pyproject)
    with served(folder, "--reload", "--reload-delay", "0.05") as server:
        url = await server.url()
        assert server.named("ready")[0]["bot"] == "talk.py:talk"
        async with called(url) as (_, old, old_mailbox):
            assert await what_it_says(old, old_mailbox) == "first"

            (folder / "talk.py").write_text(version("second"))
            assert (await server.event("reloaded"))["changed"] == ["talk.py"]
            async with called(url) as (_, new, mailbox):
                assert await what_it_says(new, mailbox) == "second"
            assert await what_it_says(old, old_mailbox) == "first"

            (folder / "talk.py").write_text("import os\n1 / 0\n" + version("third"))
            failed = await server.event("reload-failed")
            assert failed["traceback"].splitlines()[-1] == "ZeroDivisionError: division by zero"
            assert failed["traceback"] == json.loads(await get(f"{url}/status"))["error"]
            async with called(url) as (_, new, mailbox):
                assert await what_it_says(new, mailbox) == "second"

            (folder / "talk.py").write_text(version("fourth"))
            await until(lambda: len(server.named("reloaded")) == 2)
            assert json.loads(await get(f"{url}/status"))["error"] is None
            async with called(url) as (_, new, mailbox):
                assert await what_it_says(new, mailbox) == "fourth"
            assert await what_it_says(old, old_mailbox) == "first"


# A terminal


class Terminal:
    """A real one, 100 columns wide, that keeps what was written to it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (30, 100))
        left_out = ("CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
        environment = {k: v for k, v in os.environ.items() if k not in left_out}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smallrtc_cli", "serve", "--port", "0", *arguments],
            cwd=folder,
            env=environment | {"TERM": "xterm-256color", "PYTHONPATH": str(Path(cli.__file__).parents[1])},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(self._ours, 65_536):
                self.text += piece.decode(errors="replace")

    async def shows(self, words: str, timeout: float = 20.0) -> str:
        await until(lambda: words in self.text, timeout)
        return self.text

    async def ended(self) -> int:
        await until(lambda: self.process.poll() is not None)
        self._reader.join(5)
        return int(self.process.returncode)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(5)
        os.close(self._ours)


@pytest.fixture
def terminal(tmp_path):
    source = BOT.replace('print("heard", message)', 'print("heard", message, "\\x1b[2J")')
    terminal = Terminal(a_folder(tmp_path, "tutor", bot_py=source, _env="FROM_DOT_ENV=1"))
    yield terminal
    terminal.close()


@pytest.mark.parametrize("hurried", [False, True])
async def test_the_live_view_shows_the_call_and_gives_the_terminal_back(terminal, hurried):
    shown = await terminal.shows("ready in ")
    assert "reload on" in shown
    url = re.search(r"here +(http://\S+?)/?\s", shown)[1]
    await terminal.shows("no calls")
    do = "refuse to end" if hurried else None
    async with called(url, {"do": do}) as (_, transport, mailbox):
        if not hurried:
            await transport.send_message({"n": 1})
            await mailbox.next()
            await terminal.shows("bot says: heard {'n': 1}")
        for word in ("session", "state", "rtt", "connected", "running"):
            await terminal.shows(word)
        terminal.process.send_signal(signal.SIGINT)
        if hurried:
            await terminal.shows("not me")
            terminal.process.send_signal(signal.SIGINT)
        code = await terminal.ended()
    text = terminal.text
    assert code == ExitCode.INTERRUPTED
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "\x1b[2J" not in text  # what a bot prints does not steer the terminal
    assert "Traceback" not in text
