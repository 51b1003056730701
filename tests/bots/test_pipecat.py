"""Unmodified Pipecat bots on our connection: real pipelines, called end to end.

Pipecat changes its process when it is imported (`asyncio.wait_for`, aiortc's SCTP chunk size, loguru's output, `ENV`),
so all of it is put back after these tests.
"""

import asyncio
import contextlib
import importlib.util
import os
import sys
import textwrap
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import aiortc.rtcsctptransport
import numpy as np
import pytest
from calls import AUDIO_ONLY, Mailbox, answering, dialed, holdings, until

from smallrtc_cli.audio.signals import tone
from smallrtc_cli.bots import pipecat
from smallrtc_cli.bots.arguments import CliArguments, SmallWebRTCRunnerArguments
from smallrtc_cli.bots.child import ChildSetup
from smallrtc_cli.bots.isolation import IsolatedSessions
from smallrtc_cli.bots.loader import load
from smallrtc_cli.bots.spec import find_bot
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import DialOptions
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams
from smallrtc_cli.rtc.video import OutputImageRawFrame

if importlib.util.find_spec("pipecat") is None:
    pytest.skip("needs pipecat-ai[webrtc,runner]", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")

FULL_BAND = TransportParams(audio_in_enabled=True, audio_in_sample_rate=48_000, audio_out_enabled=True)
CLIENT_READY = {
    "label": "rtvi-ai",
    "type": "client-ready",
    "id": "r1",
    "data": {"version": "2.1.0", "about": {"library": "test"}},
}

IMPORTS = """
import asyncio
import numpy as np
from pipecat.frames.frames import (
    InputAudioRawFrame, InputImageRawFrame, InputTransportMessageFrame, OutputAudioRawFrame, OutputImageRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.runner.types import RunnerArguments, SmallWebRTCRunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

SEEN = []

async def run(runner_args, processors, params, on_connected=None):
    transport = await create_transport(runner_args, {"webrtc": lambda: params})
    worker = PipelineWorker(Pipeline([transport.input(), *processors, transport.output()]), params=PipelineParams())
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        SEEN.append("connected")
        if params.video_in_enabled:
            await transport.capture_participant_video(transport.get_client_id(client), framerate=None)
        if on_connected and SEEN.count("connected") == 1:
            await on_connected(worker)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        SEEN.append("disconnected")
        await worker.cancel()

    await runner.add_workers(worker)
    await runner.run()
    SEEN.append("ended")
"""

ECHO = (
    IMPORTS
    + """
class Echo(FrameProcessor):
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
            case InputImageRawFrame():
                await self.push_frame(OutputImageRawFrame(frame.image, frame.size, frame.format))
            case InputTransportMessageFrame() if frame.message.get("label") != "rtvi-ai":
                await self.push_frame(OutputTransportMessageUrgentFrame(message={"echo": frame.message}))
                await self.push_frame(frame, direction)
            case _:
                await self.push_frame(frame, direction)

async def bot(runner_args: RunnerArguments):
    assert isinstance(runner_args, SmallWebRTCRunnerArguments)
    params = TransportParams(
        audio_in_enabled=True, audio_out_enabled=True, audio_in_sample_rate=24000, audio_out_sample_rate=24000,
        **runner_args.body,
    )
    await run(runner_args, [Echo()], params)

if __name__ == "__main__":
    from pipecat.runner.run import main
    main()
"""
)

SPEAKING = (
    IMPORTS
    + """
async def bot(runner_args):
    async def speak(worker):
        time = np.arange(24000 * runner_args.body["seconds"]) / 24000
        sound = (6000 * np.sin(2 * np.pi * 440 * time)).astype("<i2")
        await worker.queue_frame(OutputAudioRawFrame(sound.tobytes(), 24000, 1))  # as fast speech synthesis gives it

    await run(runner_args, [], TransportParams(audio_in_enabled=True, audio_out_enabled=True), speak)
"""
)


@pytest.fixture(scope="module", autouse=True)
def _process_as_it_was():
    """What an import of Pipecat changes for all; its modules stay, and so do the changes for their next use."""
    before = (asyncio.wait_for, aiortc.rtcsctptransport.USERDATA_MAX_LENGTH, os.environ.get("ENV"), [*sys.path])
    yield
    asyncio.wait_for, aiortc.rtcsctptransport.USERDATA_MAX_LENGTH = before[:2]
    if before[2] is None:
        os.environ.pop("ENV", None)
    sys.path[:] = before[3]


@pytest.fixture
def loaded(tmp_path):
    def loaded(source: str, *argv: str):
        (tmp_path / "bot.py").write_text(textwrap.dedent(source))
        bot = load(find_bot("bot.py", tmp_path), CliArguments(argv))
        import loguru

        loguru.logger.remove()
        return bot

    return loaded


@contextlib.asynccontextmanager
async def listening(connection, params=FULL_BAND):
    """A transport, and the loop time and samples of all that is heard on it."""
    transport, heard = SmallWebRTCTransport(connection, params), []

    async def listen():
        async for frame in transport.input():
            heard.append((asyncio.get_running_loop().time(), np.frombuffer(frame.audio, "<i2")))  # noqa: PERF401

    task = asyncio.create_task(listen())
    try:
        yield transport, heard
    finally:
        task.cancel()
        await asyncio.wait({task})


def loud(heard):
    """When something was heard."""
    return [time for time, samples in heard if np.sqrt(np.mean(samples.astype(float) ** 2)) > 300]


def pitch(heard) -> float:
    """To a percent or two: Pipecat's echo has holes, and a rate that is mistaken is farther off."""
    sound = np.concatenate([samples for _, samples in heard if np.abs(samples).max() > 500])[-40_000:]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * 48_000 / len(sound))


def seen(bot):
    return bot.module.SEEN


# What a bot is handed


def test_a_bot_gets_pipecats_own_arguments_with_our_connection(loaded):
    loaded(ECHO)
    from pipecat.runner.types import RunnerArguments
    from pipecat.runner.types import SmallWebRTCRunnerArguments as Theirs

    connection, cli_args = SimpleNamespace(), CliArguments(["--voice", "alloy"])
    ours = SmallWebRTCRunnerArguments(connection, {"a": 1}, "s1", cli_args=cli_args)
    theirs = pipecat.runner_arguments(ours)
    assert type(theirs) is Theirs
    assert isinstance(theirs, RunnerArguments)
    assert theirs.webrtc_connection is connection
    assert (theirs.body, theirs.session_id, theirs.cli_args.voice) == ({"a": 1}, "s1", "alloy")
    assert (theirs.handle_sigint, theirs.handle_sigterm, theirs.pipeline_idle_timeout_secs) == (False, False, 300)


def test_a_bot_that_imports_pipecat_only_when_it_is_called_is_recognised(tmp_path):
    (tmp_path / "late.py").write_text("async def bot(args):\n    from pipecat.runner.utils import create_transport\n")
    (tmp_path / "none.py").write_text("import pipecatalogue\nfrom . import pipecat\n")
    (tmp_path / "broken.py").write_text("import (")
    assert pipecat.is_named_in(tmp_path / "late.py")
    assert not pipecat.is_named_in(tmp_path / "none.py")
    assert not pipecat.is_named_in(tmp_path / "broken.py")
    assert not pipecat.is_named_in(tmp_path / "nowhere.py")


def test_its_main_at_the_end_does_not_run_and_the_bot_is_known_as_pipecats(loaded):
    bot = loaded(ECHO)
    assert bot.uses_pipecat
    assert bot.module.__name__ != "__main__"


# Calls


async def test_sound_messages_and_rtvi_cross_a_real_pipeline(loaded):
    bot = loaded(ECHO)
    async with answering(bot) as server, dialed(server.supervisor) as (_, connection):
        assert type(server.connection) is SmallWebRTCConnection
        async with listening(connection) as (transport, heard):
            mailbox = Mailbox(transport)
            await transport.send_message({"hello": 1})
            await transport.send_message(CLIENT_READY)
            assert await mailbox.next() == {"echo": {"hello": 1}}
            ready = await mailbox.next()
            assert (ready["type"], ready["id"]) == ("bot-ready", "r1")
            assert ready["data"]["about"]["library"] == "pipecat-ai"
            await transport.output().write(tone(620, 1.5, rate=24_000).tobytes())
            await until(lambda: len(loud(heard)) * 0.02 > 1.2)
        assert pitch(heard) == pytest.approx(620, rel=0.02)


async def test_the_events_come_once_and_a_client_that_leaves_ends_the_pipeline(loaded):
    bot = loaded(ECHO)
    async with answering(bot) as server:
        before = holdings()
        async with dialed(server.supervisor):
            await until(lambda: seen(bot) == ["connected"])
        await until(lambda: not server.supervisor.sessions)
        assert seen(bot) == ["connected", "disconnected", "ended"]
        assert server.connection.close_reason is CloseReason.PEER_CLOSED
        await until(lambda: holdings().tasks <= before.tasks and holdings().sockets <= before.sockets)


class SlowAnswers:
    """An exchange over a network that takes a while: the server has a new peer long before it is connected."""

    def __init__(self, exchange, seconds):
        self.exchange, self.seconds = exchange, seconds
        self.candidates = exchange.candidates

    async def offer(self, request):
        answer = await self.exchange.offer(request)
        await asyncio.sleep(self.seconds if request.restart_pc else 0)
        return answer


@pytest.mark.parametrize("answer_takes", [0, 0.5])
async def test_speech_goes_on_after_a_restart_in_the_middle_of_it(loaded, answer_takes):
    """P1, with Pipecat's own transport: it makes a new track, and must not wait on the old one for ever."""
    bot = loaded(SPEAKING)
    options = replace(AUDIO_ONLY, request_data={"seconds": 4})
    async with (
        answering(bot) as server,
        dialed(SlowAnswers(server.supervisor, answer_takes), options) as (dialer, connection),
    ):
        async with listening(connection) as (_, heard):
            for restart in (1, 2):
                await until(lambda restart=restart: len(loud(heard)) * 0.02 > restart)
                dialer.restart()
                await until(lambda times=restart + 1: seen(bot) == ["connected"] * times)
            await until(lambda: len(loud(heard)) * 0.02 > 3.7)
        assert max(after - before for before, after in pairwise(loud(heard))) < 0.5
        assert pitch(heard) == pytest.approx(440, rel=0.02)


async def test_what_is_said_to_the_bot_is_heard_after_a_restart_too(loaded):
    bot = loaded(ECHO)
    async with answering(bot) as server, dialed(server.supervisor) as (dialer, connection):
        await until(lambda: seen(bot) == ["connected"])
        dialer.restart()
        await until(lambda: seen(bot) == ["connected"] * 2)
        async with listening(connection) as (transport, heard):
            mailbox = Mailbox(transport)
            await transport.output().write(tone(620, 1.0, rate=24_000).tobytes())
            await until(lambda: len(loud(heard)) * 0.02 > 0.8)
            await transport.send_message({"hello": 2})
            assert await mailbox.next() == {"echo": {"hello": 2}}
        assert pitch(heard) == pytest.approx(620, rel=0.02)


async def test_pictures_cross_a_real_pipeline(loaded):
    bot = loaded(ECHO)
    body = {
        "video_in_enabled": True,
        "video_out_enabled": True,
        "video_out_is_live": True,
        "video_out_width": 160,
        "video_out_height": 96,
    }
    options = DialOptions(request_data=body, connect_timeout=10)
    async with answering(bot) as server, dialed(server.supervisor, options) as (_, connection):
        transport = SmallWebRTCTransport(connection, TransportParams(video_in_enabled=True, video_out_enabled=True))
        await transport.send_image(OutputImageRawFrame(bytes((200, 40, 40)) * (160 * 96), (160, 96)))
        await until(lambda: "connected" in seen(bot))
        async with asyncio.timeout(20):
            frame = None
            while frame is None or frame.to_ndarray(format="rgb24")[..., 0].mean() < 100:
                frame = await transport.video_input().recv()
        colour = frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
        assert (frame.width, frame.height) == (160, 96)
        assert list(colour) == pytest.approx([200, 40, 40], abs=20)


async def test_a_bot_that_crashes_tells_its_caller(loaded):
    bot = loaded(
        IMPORTS
        + """
async def bot(runner_args):
    await create_transport(runner_args, {"websocket": lambda: None})
"""
    )
    async with answering(bot) as server:
        heard = []
        async with dialed(server.supervisor) as (_, connection):
            connection.add_event_handler("app-message", lambda _, message: heard.append(message))
            await connection.connect()
            await asyncio.wait_for(connection.wait_closed(), 10)
            await until(lambda: heard)
        assert heard[0]["type"] == "error"
        assert "ValueError: Missing transport params for 'webrtc'" in heard[0]["data"]["error"]
        assert connection.close_reason is CloseReason.PEER_LEFT


async def test_a_pipeline_that_ends_itself_ends_the_call(loaded):
    bot = loaded(
        IMPORTS
        + """
async def bot(runner_args):
    async def stop(worker):
        await worker.stop_when_done()
    await run(runner_args, [], TransportParams(audio_out_enabled=True, audio_out_end_silence_secs=0), stop)
"""
    )
    async with answering(bot) as server, dialed(server.supervisor) as (_, connection):
        await asyncio.wait_for(connection.wait_closed(), 15)
        assert connection.close_reason is CloseReason.PEER_LEFT
        await until(lambda: not server.supervisor.sessions)
        assert seen(bot) == ["connected", "ended"]


async def test_closing_the_server_ends_pipelines_that_run(loaded):
    """P4."""
    bot = loaded(ECHO)
    async with answering(bot) as server, dialed(server.supervisor) as (_, connection):
        await until(lambda: seen(bot) == ["connected"])
        async with asyncio.timeout(5):
            await server.supervisor.close()
        assert not server.supervisor.sessions
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.PEER_LEFT


async def test_a_pipeline_runs_in_a_process_of_its_own(tmp_path):
    (tmp_path / "bot.py").write_text(ECHO)
    sessions = IsolatedSessions(ChildSetup(find_bot("bot.py", tmp_path)), spares=1)
    try:
        await sessions.start()
        async with dialed(sessions) as (_, connection), listening(connection) as (transport, heard):
            await transport.output().write(tone(620, 1.0, rate=24_000).tobytes())
            await until(lambda: len(loud(heard)) * 0.02 > 0.8)
        assert pitch(heard) == pytest.approx(620, rel=0.02)
        await until(lambda: not sessions.sessions)
    finally:
        await sessions.close()
