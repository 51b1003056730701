"""FastRTC with a handler that echoes."""

import asyncio
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastrtc import AsyncStreamHandler, Stream  # type: ignore[import-not-found]


class Echo(AsyncStreamHandler):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("mono", 48_000, input_sample_rate=48_000)
        self._frames: asyncio.Queue[Any] = asyncio.Queue(50)  # a second

    async def start_up(self) -> None:
        pass

    async def receive(self, frame: Any) -> None:
        if not self._frames.full():
            self._frames.put_nowait(frame)

    async def emit(self) -> Any:
        return await self._frames.get()

    def copy(self) -> "Echo":
        return Echo()

    async def shutdown(self) -> None:
        pass


def main() -> None:
    stream = Stream(Echo(), modality="audio", mode="send-receive", concurrency_limit=200)
    app = FastAPI()
    stream.mount(app)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
