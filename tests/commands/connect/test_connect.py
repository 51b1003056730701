"""`smallrtc connect` from the outside: a process that calls `smallrtc serve`, with files, messages and failures."""

import asyncio
import contextlib
import os
import signal
import sys

import numpy as np
import pytest
from calls import until
from connecting import RATE, SILENT, call, pitch, recorded, sentence
from ice_services import free_port
from served import Command, running, served

from smallrtc_cli.audio.files import write_wav
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.errors import ExitCode

BOTS = """
import asyncio
from smallrtc_cli import SmallWebRTCTransport, TransportParams

SOUND = TransportParams(audio_in_enabled=True, audio_out_enabled=True)


async def bot(runner_args):
    body = runner_args.body
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, SOUND)

    @transport.event_handler("on_app_message")
    async def on_app_message(transport, message, sender):
        if message.get("label") != "rtvi-ai":
            await transport.send_message({"heard": message, "body": body})

    @transport.connection.event_handler("track-status")
    async def on_track_status(connection, index, enabled):
        await transport.send_message({"track": index, "enabled": enabled})

    match body.get("do"):
        case "crash":
            await transport.start()
            raise RuntimeError("no voice today")
        case "leave":
            await transport.start()
            await asyncio.sleep(1)
        case _:
            await transport.wait_closed()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bots")
    (path / "bot.py").write_text(BOTS)
    return path


@pytest.fixture(scope="module")
def server(folder):
    with served(folder) as process:
        yield process


@pytest.fixture(scope="module")
def echo(folder):
    with served(folder, "echo") as process:
        yield process


async def test_a_file_is_said_and_both_sides_are_recorded(folder, echo):
    write_wav(folder / "tone.wav", tone(440, 1.5), RATE)
    process = await call(
        folder,
        await echo.url(),
        "--play-from",
        "tone.wav",
        "--no-output",
        "--exit-after-play",
        "--record-to",
        "call.wav",
    )
    assert process.process.returncode == 0, process.errors
    samples = recorded(folder / "call.wav")
    assert pitch(samples[:, 0]) == pytest.approx(440, abs=10)
    assert pitch(samples[:, 1]) == pytest.approx(440, abs=10)
    assert np.argmax(np.abs(samples[:, 0]) > 1000) < np.argmax(np.abs(samples[:, 1]) > 1000)


async def test_raw_sound_goes_in_by_stdin_and_both_sides_come_out_by_stdout(folder, echo):
    command = [
        sys.executable,
        "-m",
        "smallrtc_cli",
        "connect",
        await echo.url(),
        "--play-from",
        "-",
        "--raw-rate",
        "16000",
    ]
    command += ["--no-output", "--exit-after-play", "--record-to", "-"]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        out, err = await process.communicate(tone(620, 1.5, rate=16_000).tobytes())
    assert process.returncode == 0, err.decode()
    samples = np.frombuffer(out, "<i2").reshape(-1, 2)
    assert [pitch(samples[:, side]) for side in (0, 1)] == pytest.approx([620, 620], abs=10)


async def test_a_script_sends_messages_waits_for_answers_and_gets_every_event(folder, server):
    arguments = ["--body", '{"voice": "amy"}', "--message", '{"a": 1}', "--json-lines", "--stats", "1"]
    process = await call(
        folder, await server.url(), *SILENT, *arguments, "--expect", '{"heard": {"a": 1}, "body": {"voice": "amy"}}'
    )
    assert process.process.returncode == 0, process.errors
    names = [event["event"] for event in process.events]
    assert names[0] == "dialing"
    assert names[-1] == "ended"
    assert {"connected", "message", "sent", "expected"} <= set(names)
    assert process.events[-1]["exit_code"] == 0
    assert process.errors == ""


async def test_what_is_not_heard_in_time_is_a_failure(folder, server):
    arguments = ["--expect", '{"never": true}', "--expect", '{"heard": {}}', "--message", '{"a": 1}']
    process = await call(folder, await server.url(), *SILENT, *arguments, "--expect-timeout", "1", "--json-lines")
    assert process.process.returncode == ExitCode.FAILED
    assert sentence(process)[0] == 'no message with `{"never": true}` came within 1 s'
    assert process.events[-1]["exit_code"] == 1


async def test_a_bot_that_is_not_heard_is_a_failure_where_it_should_be(folder, server):
    process = await call(folder, await server.url(), *SILENT, "--expect-audio", "1")
    assert process.process.returncode == ExitCode.FAILED
    assert "no sound from the bot" in sentence(process)[0]


async def test_a_bot_that_is_heard_is_none(folder):
    with served(folder, "tone") as tones:
        process = await call(
            folder, await tones.url(), *SILENT, "--expect-audio", "5", "--duration", "6", "--json-lines"
        )
    assert process.process.returncode == 0, process.errors
    assert process.named("first-audio")


async def test_a_bot_that_crashes_is_quoted(folder, server):
    process = await call(folder, await server.url(), *SILENT, "--body", '{"do": "crash"}')
    assert process.process.returncode == ExitCode.FAILED
    assert "no voice today" in sentence(process)[0]


async def test_a_bot_that_leaves_ends_a_conversation_and_fails_a_script(folder, server):
    body = ("--body", '{"do": "leave"}')
    process = await call(folder, await server.url(), *SILENT, *body)
    assert process.process.returncode == 0, process.errors
    assert "the bot left" in process.errors
    process = await call(folder, await server.url(), *SILENT, *body, "--duration", "30")
    assert process.process.returncode == ExitCode.FAILED
    assert sentence(process)[0].startswith("the bot left after")


@pytest.mark.parametrize("reconnect", ["3", "0"])
async def test_a_restart_keeps_the_bot(folder, server, reconnect):
    arguments = ["--restart-after", "0.5", "--duration", "4", "--json-lines", "--reconnect", reconnect]
    process = await call(folder, await server.url(), *SILENT, *arguments)
    assert process.process.returncode == 0, process.errors
    assert process.named("redialing", reason="you asked for it")
    assert process.named("reconnected")
    session = server.named("reconnected")[-1]["session"]
    assert len(server.named("offered", session=session)) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.OK)])
async def test_a_signal_hangs_up(folder, server, number, code):
    with running(folder, "connect", await server.url(), *SILENT, "--json-lines") as process:
        await process.event("connected")
        pc_id = process.named("connected")[0]["pc_id"]
        session = (await server.event("offered", pc_id=pc_id))["session"]
        ended, _ = await process.stopped(number)
    assert ended == code, process.errors
    assert "Traceback" not in process.errors
    assert process.named("ended")[0]["exit_code"] == code
    await server.event("closed", session=session, reason="peer-closed")


async def test_a_reader_of_events_that_has_gone_ends_the_call_without_a_word(folder, server):
    command = [sys.executable, "-m", "smallrtc_cli", "connect", await server.url(), *SILENT, "--json-lines"]
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=writing, stderr=asyncio.subprocess.PIPE)
    os.close(writing)
    async with asyncio.timeout(40):
        assert await asyncio.to_thread(os.read, reading, 1) == b"{"
        os.close(reading)
        _, error = await process.communicate()
    assert (process.returncode, error) == (ExitCode.FAILED, b"")


async def test_a_server_that_is_killed_is_told_of_without_calling_again(folder):
    with (
        served(folder) as doomed,
        running(folder, "connect", await doomed.url(), *SILENT, "--reconnect", "0") as process,
    ):
        await process.error("connected in")
        doomed.send(signal.SIGKILL)
        assert await process.ended(40) == ExitCode.CANNOT_RUN
    assert "the server went away" in sentence(process)[0]


async def test_a_server_that_comes_back_is_called_again(folder):
    port = str(free_port())
    with served(folder, "--port", port) as first, contextlib.ExitStack() as stack:
        await first.url()
        process = stack.enter_context(
            running(folder, "connect", f"localhost:{port}", *SILENT, "--reconnect", "20", "--json-lines")
        )
        await process.event("connected")
        first.send(signal.SIGKILL)
        await first.ended()
        second = stack.enter_context(served(folder, "--port", port))
        await second.url()
        await until(lambda: process.named("reconnected") or process.process.poll() is not None, 40)
        assert process.named("refused") or process.named("redialing")
        await second.event("connected")
        assert (await process.stopped(signal.SIGTERM))[0] == 0


async def test_no_server_no_name_and_no_url_have_one_sentence_each(folder):
    for url, words, code in (
        (f"localhost:{free_port()}", "connection refused", ExitCode.CANNOT_RUN),
        ("ftp://localhost", "not an http or https URL", ExitCode.USAGE),
        ("bot.invalid", "`bot.invalid`", ExitCode.CANNOT_RUN),
    ):
        process = await call(folder, url, *SILENT)
        assert (process.process.returncode, words in sentence(process)[0]) == (code, True), process.errors


async def test_a_token_opens_the_door_and_a_self_made_certificate_needs_trust(folder, tmp_path):
    with served(folder, "--https", "--token", "secret", XDG_DATA_HOME=str(tmp_path)) as guarded:
        url = await guarded.url()
        process = await call(folder, url, *SILENT)
        assert "--insecure" in sentence(process)[1]
        process = await call(folder, url, *SILENT, "--insecure")
        assert "--token" in sentence(process)[1]
        process = await call(folder, url, *SILENT, "--insecure", "--duration", "0.5", SMALLRTC_TOKEN="secret")
        assert process.process.returncode == 0, process.errors
        assert "secret" not in process.errors


async def test_without_portaudio_there_is_a_sentence_and_files_still_work(folder, echo, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n")
    root = {"PYTHONPATH": f"{tmp_path}:{sys.path[0]}"}
    process = Command(folder, "connect", await echo.url(), **root)
    assert await process.ended() == ExitCode.CANNOT_RUN
    assert "PortAudio" in sentence(process)[0]
    process.close()
    write_wav(folder / "tone.wav", tone(440, 1.5), RATE)
    files = ("--play-from", "tone.wav", "--record-to", "files.wav", "--exit-after-play")
    process = await call(folder, await echo.url(), *files, **root)
    assert process.process.returncode == 0, process.errors
    assert (folder / "files.wav").stat().st_size > RATE


@pytest.mark.parametrize("codec", ["PCMU", "G722", "opus"])
async def test_another_codec_carries_the_sound_too(folder, echo, codec):
    write_wav(folder / "tone.wav", tone(440, 1.5), RATE)
    arguments = ["--play-from", "tone.wav", "--no-output", "--exit-after-play", "--record-to", f"{codec}.wav"]
    process = await call(folder, await echo.url(), *arguments, "--audio-codec", codec, "--json-lines", "--stats", "1")
    assert process.process.returncode == 0, process.errors
    report = process.named("statistics")[-1]["stats"]
    assert {
        entry["mimeType"].lower()
        for entry in report.values()
        if entry["type"] == "codec" and "audio" in entry["mimeType"]
    } == {f"audio/{codec.lower()}"}
    assert pitch(recorded(folder / f"{codec}.wav")[:, 1]) == pytest.approx(440, abs=10)


async def test_the_test_card_is_sent_and_the_bots_pictures_are_kept(folder, tmp_path):
    (tmp_path / "mirror.py").write_text(MIRROR)
    with served(tmp_path, "mirror.py") as mirror:
        arguments = ["--video-from", "test", "--record-video", "bot.mp4", "--duration", "6"]
        process = await call(tmp_path, await mirror.url(), *SILENT, *arguments)
    assert process.process.returncode == 0, process.errors
    assert (tmp_path / "bot.mp4").stat().st_size > 5000


MIRROR = """
from smallrtc_cli import SmallWebRTCTransport, TransportParams
from smallrtc_cli.rtc.video import OutputImageRawFrame


async def bot(runner_args):
    params = TransportParams(video_in_enabled=True, video_out_enabled=True)
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, params)
    await transport.start()
    track = transport.video_input()
    while True:
        frame = await track.recv()
        if frame is not None:
            picture = frame.to_ndarray(format="rgb24")
            await transport.send_image(OutputImageRawFrame(picture.tobytes(), (frame.width, frame.height)))
"""
