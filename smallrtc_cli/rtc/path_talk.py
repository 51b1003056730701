"""What two smallrtcs tell each other of the path between them: each knows only the way from itself."""

import asyncio
from collections.abc import Awaitable, Callable

from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.protocol.messages import PathReportMessage, PathRequestMessage, Signal
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.tasks import Tasks

Say = Callable[[Signal], None]
"Sends a message in the signalling envelope."


class PathTalk:
    """At most one question to the other side, and at most one answer to it, are under way."""

    def __init__(self, patience: float) -> None:
        """`patience` is how many seconds an answer may take."""
        self._patience = patience
        self._told: asyncio.Future[PathReportMessage] | None = None
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, say: Say) -> PathReportMessage | None:
        """What the path carries from the other side to here; None when it does not say (it is not smallrtc)."""
        if self._told is None:
            self._told = asyncio.get_running_loop().create_future()
            say(PathRequestMessage())
        told = self._told
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(told)
        except TimeoutError:
            return None
        finally:
            if self._told is told:
                self._told = None

    def told(self, message: PathReportMessage) -> None:
        """The other side has answered."""
        if self._told is not None and not self._told.done():
            self._told.set_result(message)

    def answer(self, probe: Callable[[], Awaitable[PathReport]], say: Say, tasks: Tasks) -> None:
        """One question at a time; what comes meanwhile has the same answer."""
        if self._answering is None or self._answering.done():
            self._answering = tasks.start(_tell(probe, say))


async def _tell(probe: Callable[[], Awaitable[PathReport]], say: Say) -> None:
    try:
        report = await probe()
    except ConnectionEnded:
        return
    limit, pieces = str(report.limit), report.pieces_pass
    say(PathReportMessage(report.chunk, report.ip_packet, report.refused_ip_packet, limit, pieces))
