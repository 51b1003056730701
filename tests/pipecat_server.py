"""Pipecat's own runner in a process of its own, for tests: a real pipeline that sends sound and messages back."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ECHO = """
from pipecat.frames.frames import (
    InputAudioRawFrame, InputTransportMessageFrame, OutputAudioRawFrame, OutputTransportMessageUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner


class Echo(FrameProcessor):
    def __init__(self, facts):
        super().__init__()
        self._facts = facts

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
            case InputTransportMessageFrame() if frame.message.get("label") != "rtvi-ai":
                said = {"echo": frame.message} | self._facts
                await self.push_frame(OutputTransportMessageUrgentFrame(message=said))
            case _:
                await self.push_frame(frame, direction)


async def bot(runner_args):
    params = TransportParams(
        audio_in_enabled=True, audio_out_enabled=True, audio_in_sample_rate=24000, audio_out_sample_rate=24000
    )
    transport = await create_transport(runner_args, {"webrtc": lambda: params})
    echo = Echo({"body": runner_args.body, "session_id": runner_args.session_id})
    worker = PipelineWorker(Pipeline([transport.input(), echo, transport.output()]), params=PipelineParams())

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
"""

_STARTS_WITHIN = 50.0  # seconds: the imports alone take some on a machine that is busy
_RUNNING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:[0-9]+)")


class PipecatServer:
    """The process; `url` is where it listens. Its output is collected by a thread, so that no pipe fills up."""

    def __init__(self, folder: Path, source: str = ECHO, port: int = 0) -> None:
        (folder / "bot.py").write_text(source)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PIPECAT_", "SMALLRTC_"))}
        self.process = subprocess.Popen(
            [sys.executable, "bot.py", "-t", "webrtc", "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=inherited | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        self.url = self._wait_until_ready()

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return "".join(self._lines)

    def _collect(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)

    def _wait_until_ready(self) -> str:
        deadline = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            listening = _RUNNING.search(self.output)
            if listening and _is_ready(f"{listening[1]}/status"):
                return listening[1]
            time.sleep(0.05)
        self.close()
        raise AssertionError(f"Pipecat's runner did not start:\n{self.output}")

    def close(self) -> None:
        """Ask it to end, by its pid; a second later there is no asking any more."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


def _is_ready(url: str) -> bool:
    try:
        with _direct().open(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _direct() -> urllib.request.OpenerDirector:
    """Past any proxy that the environment names."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def pipecat_server(source: str = ECHO, port: int = 0) -> Iterator[PipecatServer]:
    """The runner with a bot, until the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        server = PipecatServer(Path(folder), source, port)
        try:
            yield server
        finally:
            server.close()
