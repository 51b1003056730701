"""`smallrtc connect` against Pipecat's own runner: a real pipeline that listens, speaks, reads, writes and leaves."""

import contextlib
import importlib.util
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from calls import until
from connecting import RATE, SILENT, call, pitch, recorded, sentence
from ice_services import free_port
from pipecat_server import PipecatServer, pipecat_server
from served import Command, Event, running

from smallrtc_cli.audio.files import write_wav
from smallrtc_cli.audio.signals import silence, tone
from smallrtc_cli.errors import ExitCode

BOT = """
import numpy as np
from pipecat.frames.frames import (
    EndWorkerFrame, InputAudioRawFrame, InputTransportMessageFrame, LLMMessagesAppendFrame, OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner


class Bot(FrameProcessor):
    def __init__(self, arguments):
        super().__init__()
        self._arguments = arguments

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                if np.abs(np.frombuffer(frame.audio, "<i2")).max(initial=0) > 200:
                    await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
            case InputTransportMessageFrame() if frame.message.get("type") == "leave":
                await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)
            case InputTransportMessageFrame() if frame.message.get("type") == "ask":
                listens = self._arguments.webrtc_connection.audio_input_track().is_enabled()
                await self.say({"heard": frame.message, "body": self._arguments.body, "listens": listens})
            case LLMMessagesAppendFrame():
                await self.say({"understood": frame.messages[0]["content"]})
            case _:
                await self.push_frame(frame, direction)

    async def say(self, message):
        await self.push_frame(OutputTransportMessageUrgentFrame(message=message))


async def bot(runner_args):
    print("a bot begins", flush=True)
    params = TransportParams(
        audio_in_enabled=True, audio_out_enabled=True, audio_in_sample_rate=24000, audio_out_sample_rate=24000
    )
    transport = await create_transport(runner_args, {"webrtc": lambda: params})
    pipeline = Pipeline([transport.input(), Bot(runner_args), transport.output()])
    worker = PipelineWorker(pipeline, params=PipelineParams())

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    print("a bot ends", flush=True)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
"""

ASK = '{"type": "ask", "a": 1}'


@pytest.fixture(scope="module")
def server() -> Iterator[PipecatServer]:
    if importlib.util.find_spec("pipecat") is None:
        pytest.skip("needs pipecat-ai[webrtc,runner]")
    with pipecat_server(BOT) as runner:
        yield runner


def greetings(process: Command) -> list[Event]:
    """What bots answered our hello with."""
    return [each for each in process.named("message") if each["message"].get("type") == "bot-ready"]


async def test_sound_and_messages_go_both_ways(tmp_path, server):
    write_wav(tmp_path / "tone.wav", tone(440, 2), RATE)
    sound = ("--play-from", "tone.wav", "--no-output", "--exit-after-play", "--record-to", "call.wav")
    expected = '{"heard": {"a": 1}, "body": {"voice": "amy"}, "listens": true}'
    messages = ("--body", '{"voice": "amy"}', "--message", ASK, "--expect", expected)
    process = await call(tmp_path, server.url, *sound, *messages, "--json-lines")
    assert process.process.returncode == 0, process.errors
    samples = recorded(tmp_path / "call.wav")
    assert [pitch(samples[:, side]) for side in (0, 1)] == pytest.approx([440, 440], abs=10)
    assert process.named("first-audio")
    assert len(greetings(process)) == 1


async def test_typed_text_is_understood_as_a_turn_of_the_users(tmp_path, server):
    process = await call(
        tmp_path, server.url, *SILENT, "--text", "good evening", "--expect", '{"understood": "good evening"}'
    )
    assert process.process.returncode == 0, process.errors


async def test_a_muted_microphone_is_known_to_the_bot(tmp_path, server):
    muted = ("--push-to-talk", "--message", ASK, "--expect", '{"listens": false}')
    process = await call(tmp_path, server.url, *SILENT, *muted)
    assert process.process.returncode == 0, process.errors


async def test_sound_goes_on_with_the_same_bot_after_a_restart(tmp_path, server):
    """In a pause: Pipecat's transport stays silent for ever when it is restarted in the middle of what it says."""
    words = (tone(440, 1), silence(2.5), tone(620, 1.5))
    write_wav(tmp_path / "words.wav", np.concatenate(words), RATE)
    before = server.output.count("a bot begins")
    sound = ("--play-from", "words.wav", "--no-output", "--exit-after-play", "--record-to", "call.wav")
    process = await call(tmp_path, server.url, *sound, "--restart-after", "2", "--json-lines")
    assert process.process.returncode == 0, process.errors
    assert process.named("redialing", reason="you asked for it")
    assert process.named("reconnected")
    assert len(greetings(process)) == 1, "it is the same bot, and was greeted"
    assert server.output.count("a bot begins") == before + 1
    bot = recorded(tmp_path / "call.wav")[:, 1]
    pause = np.argmax(np.abs(bot) > 1000) + round(2.2 * RATE)
    assert [pitch(bot[:pause]), pitch(bot[pause:])] == pytest.approx([440, 620], abs=10)


async def test_a_bot_that_ends_its_pipeline_has_left(tmp_path, server):
    process = await call(tmp_path, server.url, *SILENT, "--message", '{"type": "leave"}')
    assert process.process.returncode == 0, process.errors
    assert "ended: the bot left" in process.errors
    process = await call(tmp_path, server.url, *SILENT, "--message", '{"type": "leave"}', "--duration", "30")
    assert process.process.returncode == ExitCode.FAILED
    assert sentence(process)[0].startswith("the bot left after")


async def test_a_bot_sees_us_leave(tmp_path, server):
    begun = server.output.count("a bot begins")
    process = await call(tmp_path, server.url, *SILENT, "--duration", "0.5")
    assert process.process.returncode == 0, process.errors
    await until(lambda: server.output.count("a bot ends") == server.output.count("a bot begins") == begun + 1, 20)


async def test_a_runner_that_is_killed_is_told_of_and_called_again_when_it_is_back(tmp_path, server):
    port = free_port()
    with pipecat_server(BOT, port) as first, contextlib.ExitStack() as stack:
        process = stack.enter_context(
            running(tmp_path, "connect", first.url, *SILENT, "--reconnect", "100", "--json-lines")
        )
        await process.event("connected")
        await until(lambda: greetings(process), 20)
        first.process.send_signal(signal.SIGKILL)
        await until(lambda: process.named("lost") or process.named("redialing"), 30)
        second = stack.enter_context(pipecat_server(BOT, port))
        await until(lambda: process.named("reconnected") or process.process.poll() is not None, 50)
        assert process.named("reconnected"), process.errors
        assert "a bot begins" in second.output
        await until(lambda: len(greetings(process)) == 2, 20)
        assert (await process.stopped(signal.SIGTERM))[0] == 0
