"""The page's server for browser tests: the real door, a supervised bot, and a notebook of what reached the bot."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.bots.echo import params
from smallrtc_cli.bots.supervisor import Bot, Supervisor
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.rtc.transport import SmallWebRTCTransport
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.page import PAGE
from smallrtc_cli.web.rates import Rate
from smallrtc_cli.web.server import SignallingServer
from smallrtc_cli.web.sessions import Sessions

NO_HURRY = Rate(burst=1000, per_second=1000)


class PageServer:
    """What `smallrtc serve` is to the page."""

    def __init__(
        self, bot: Bot, *, token: str | None = None, port: int = 0, allowed_origins: frozenset[str] = frozenset()
    ) -> None:
        self.bot, self.error = bot, ""
        self.arguments: list[SmallWebRTCRunnerArguments] = []
        self.track_status: list[tuple[int, bool]] = []
        sessions = Sessions()
        self.supervisor = Supervisor(lambda: self._noted, SmallWebRTCRequestHandler(), rooms=sessions)
        door = Door(
            page=PAGE,
            sessions=sessions,
            status=self._status,
            token=token,
            rate=NO_HURRY,
            allowed_origins=allowed_origins,
        )
        self._server = SignallingServer(self.supervisor, door=door)
        self._port = port
        self.base = ""

    @property
    def connection(self) -> SmallWebRTCConnection:
        """That of the last bot that was started."""
        return self.arguments[-1].webrtc_connection

    async def start(self) -> None:
        self.base = await self._server.start(port=self._port)
        self._port = int(self.base.rsplit(":", 1)[1])

    async def close(self) -> None:
        """As the command ends: conversations first."""
        await self.supervisor.close()
        await self._server.close()

    def next(self) -> "PageServer":
        """Another process in the same place."""
        return PageServer(self.bot, port=self._port)

    async def _noted(self, runner_args: SmallWebRTCRunnerArguments) -> None:
        connection = runner_args.webrtc_connection
        connection.add_event_handler("track-status", lambda _, index, on: self.track_status.append((index, on)))
        self.arguments.append(runner_args)
        await self.bot(runner_args)

    def _status(self) -> dict[str, Any]:
        return {"bot": "bot.py:bot", "version": "0.1.0", "error": self.error or None}


@contextlib.asynccontextmanager
async def serving(bot: Bot, **options: Any) -> AsyncIterator[PageServer]:
    server = PageServer(bot, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


class TalkativeBot:
    """Echoes sound, notes messages, and says in RTVI what it is told to."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.transport: SmallWebRTCTransport | None = None

    async def __call__(self, runner_args: SmallWebRTCRunnerArguments) -> None:
        transport = self.transport = SmallWebRTCTransport(runner_args.webrtc_connection, params(channels=2))
        transport.add_event_handler("on_app_message", lambda _, message, sender: self.messages.append(message))
        async for frame in transport.input():
            await transport.output().write(frame)

    async def say(self, *messages: Any) -> None:
        """Anything that JSON can hold, as a bot of Pipecat's might."""
        assert self.transport is not None
        for message in messages:
            self.transport.connection.send_app_message(message)

    async def heard(self, kind: str, timeout: float = 5.0) -> dict[str, Any]:
        """The first message of a type."""
        async with asyncio.timeout(timeout):
            while not (found := [message for message in self.messages if message.get("type") == kind]):
                await asyncio.sleep(0.02)
        return found[0]
