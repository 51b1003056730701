"""Pipecat's own runner with a pipeline that echoes; `ECHO_TUNING=best` is what gives it its lowest delay."""

import os
from typing import Any

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

TUNINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "best": {"audio_in_sample_rate": 48_000, "audio_out_sample_rate": 48_000, "audio_out_10ms_chunks": 1},
}


class Echo(FrameProcessor):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
            case InputTransportMessageFrame() if frame.message.get("label") != "rtvi-ai":
                await self.push_frame(OutputTransportMessageUrgentFrame(message=frame.message))
            case _:
                await self.push_frame(frame, direction)


async def bot(runner_args: Any) -> None:
    tuning = TUNINGS[os.environ.get("ECHO_TUNING", "default")]
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True, **tuning)
    transport = await create_transport(runner_args, {"webrtc": lambda: params})
    worker = PipelineWorker(Pipeline([transport.input(), Echo(), transport.output()]), params=PipelineParams())

    @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
    async def on_client_disconnected(transport: Any, client: Any) -> None:  # noqa: ARG001
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
