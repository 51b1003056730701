"""Real calls in one process, for tests: a bot behind a request handler, and a dialer that calls it."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.bots.supervisor import Bot, Supervisor
from smallrtc_cli.config import Redial, Settings, Timing
from smallrtc_cli.rtc.addresses import local_interfaces
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer, DialOptions
from smallrtc_cli.rtc.peer import MediaOptions
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

AUDIO_ONLY = DialOptions(media=MediaOptions(video=False), connect_timeout=10)
SOUND = TransportParams(audio_in_enabled=True, audio_out_enabled=True)

IMPATIENT = Settings(timing=Timing(lost_after=0.6, close_after=1.5, consent_after=0.2))
NO_REDIAL = Settings(redial=Redial(attempts=0))


@dataclass
class Answering:
    """The answering side of a test: what was answered, and by whom."""

    handler: SmallWebRTCRequestHandler
    supervisor: Supervisor
    arguments: list[SmallWebRTCRunnerArguments]

    @property
    def connection(self) -> SmallWebRTCConnection:
        """The connection of the last bot that was started."""
        return self.arguments[-1].webrtc_connection


@contextlib.asynccontextmanager
async def answering(bot: Bot, settings: Settings | None = None, **handler: Any) -> AsyncIterator[Answering]:
    """A server without HTTP that runs `bot`; its `supervisor` is the exchange to dial."""
    arguments: list[SmallWebRTCRunnerArguments] = []

    async def noted(runner_args: SmallWebRTCRunnerArguments) -> None:
        arguments.append(runner_args)
        await bot(runner_args)

    requests = SmallWebRTCRequestHandler(settings=settings, **handler)
    supervisor = Supervisor(lambda: noted, requests)
    try:
        yield Answering(requests, supervisor, arguments)
    finally:
        await supervisor.close()


@contextlib.asynccontextmanager
async def dialed(
    exchange: Any, options: DialOptions = AUDIO_ONLY, settings: Settings | None = None
) -> AsyncIterator[tuple[Dialer, SmallWebRTCConnection]]:
    """A call to an exchange, hung up at the end."""
    dialer = Dialer(exchange, options, settings=settings)
    connection = await dialer.dial()
    try:
        yield dialer, connection
    finally:
        await connection.disconnect()


class Mailbox:
    """The application messages that a transport receives."""

    def __init__(self, transport: SmallWebRTCTransport) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        transport.add_event_handler("on_app_message", lambda _, message, sender: self.messages.put_nowait(message))

    async def next(self, timeout: float = 10.0) -> Any:
        return await asyncio.wait_for(self.messages.get(), timeout)


async def until(condition: Callable[[], Any], timeout: float = 10.0) -> None:
    """Wait for something that has no event."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.01)


async def idle_bot(runner_args: SmallWebRTCRunnerArguments) -> None:
    """Joins, says and does nothing, and stays until the client is gone."""
    await SmallWebRTCTransport(runner_args.webrtc_connection).wait_closed()


@dataclass(frozen=True)
class Holdings:
    """What this process holds that a closed call must have given back."""

    sockets: int
    tasks: int
    threads: frozenset[str]


def holdings() -> Holdings:
    """Count now; executor threads belong to the loop, the watch over the interfaces to the process, not to a call."""
    local_interfaces()
    gc.collect()
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    threads = [thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return Holdings(
        sockets=sum(link.startswith("socket:") for link in links),
        tasks=len(asyncio.all_tasks()),
        threads=frozenset(threads),
    )
