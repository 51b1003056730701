"""Who runs the bots: one owned task for each session, and what becomes of both when one of them ends.

A bot that returns ends its session; one that fails has its caller told, within the second, and its traceback shown;
a session that ends lets the bot finish what it does. `close` cancels what still runs. What happens is told to an
observer.
"""

import asyncio
import contextvars
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.bots.events import Observer, SessionEvent, SessionStatus, ignore
from smallrtc_cli.bots.tracebacks import user_traceback
from smallrtc_cli.errors import ServerClosing, Unavailable
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.protocol.session import CloseReason, State
from smallrtc_cli.protocol.signalling import Answer, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.rtc.stats import stats

logger = logging.getLogger(__name__)

Bot = Callable[[Any], Awaitable[Any]]

BOT_TIMEOUT = 2.0
"Seconds that cancelled bots may take to clean up."

_TRACEBACK_LINES = 12
_LONGEST_LINE = 1_000
"How much of a traceback a caller is told: an exception may carry a megabyte, and a message may not."

session_of_task: contextvars.ContextVar[str | None] = contextvars.ContextVar("session_of_task", default=None)
"The id of the session whose bot, or handler of a bot, is running."


def no_room(most: int) -> Unavailable:
    """What a caller is told when as many calls as may are going on."""
    return Unavailable(f"{most} sessions are running, and this server takes no more", hint="`--max-sessions` sets that")


class Rooms(Protocol):
    """Who keeps count of which session ids are in use (`web.sessions.Sessions`)."""

    def entered(self, session_id: str) -> None: ...
    def left(self, session_id: str) -> None: ...


class _AnyRoom:
    def entered(self, session_id: str) -> None: ...
    def left(self, session_id: str) -> None: ...


@dataclass(eq=False, slots=True)
class BotSession:
    """One conversation and the bot in it."""

    id: str
    connection: SmallWebRTCConnection
    started: float
    "Monotonic seconds."

    bot: str = "running"
    "`running`, `ended` or `failed`."


class Supervisor:
    """Runs a bot on every connection that a request handler answers. Itself an `Exchange`, so it can be dialed."""

    def __init__(
        self,
        present_bot: Callable[[], Bot],
        handler: SmallWebRTCRequestHandler,
        *,
        rooms: Rooms | None = None,
        most: int | None = None,
        observer: Observer = ignore,
    ) -> None:
        """`present_bot` gives the bot for a new session; `most` bounds the calls at a time: a bot that still
        finishes what it does after its call counts no more.
        """
        self._present_bot, self._handler = present_bot, handler
        self._rooms = rooms or _AnyRoom()
        self._most = most
        self._observer = observer
        self._sessions: dict[asyncio.Task[None], BotSession] = {}
        self._answering = 0
        self._closed = False

    @property
    def sessions(self) -> tuple[BotSession, ...]:
        """Those whose bot runs."""
        return tuple(self._sessions.values())

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        """Answer an offer and start the bot on a new connection; raises `RequestError`."""
        is_new = self._require_room(request)

        def start(connection: SmallWebRTCConnection) -> None:
            self.start(connection, request.request_data, request.session_id)

        self._answering += is_new
        try:
            return await self._handler.handle_web_request(request, start)
        finally:
            self._answering -= is_new

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Add trickled candidates; raises `UnknownPeer`."""
        await self._handler.handle_patch_request(request)

    def _require_room(self, request: SmallWebRTCRequest) -> bool:
        """Whether it is an offer for a new session; raises `RequestError` where there is no room for that."""
        if self._closed:
            raise ServerClosing("the server is shutting down")
        if request.pc_id is not None and self._handler.knows(request.pc_id):
            return False
        live = sum(session.connection.state is not State.CLOSED for session in self._sessions.values())
        if self._most is not None and live + self._answering >= self._most:
            raise no_room(self._most)
        return True

    def start(self, connection: SmallWebRTCConnection, body: Any = None, session_id: str | None = None) -> None:
        """Run the bot on a connection."""
        if self._closed:
            raise ServerClosing("the server is shutting down")
        session = BotSession(session_id or str(uuid.uuid4()), connection, time.monotonic())
        arguments = SmallWebRTCRunnerArguments(connection, {} if body is None else body, session_id=session.id)
        self._rooms.entered(session.id)
        context = contextvars.copy_context()
        context.run(session_of_task.set, session.id)
        connection.run_handlers_in(context)
        task = asyncio.create_task(self._run(session, arguments), name=f"bot of session {session.id}", context=context)
        self._sessions[task] = session
        task.add_done_callback(self._forget)
        self._tell(session, "offered", pc_id=connection.pc_id)
        self._watch(session)  # a recording that begins now is whole before `closed` is told

    def _forget(self, task: asyncio.Task[None]) -> None:
        session = self._sessions.pop(task)
        self._rooms.left(session.id)

    async def _run(self, session: BotSession, arguments: SmallWebRTCRunnerArguments) -> None:
        reason = CloseReason.BOT_FAILED
        try:
            await self._present_bot()(arguments)
            session.bot, reason = "ended", CloseReason.BOT_ENDED
            self._tell(session, "bot-ended")
        except asyncio.CancelledError:
            if self._closed:
                reason = CloseReason.SERVER_SHUTDOWN
                raise
            session.bot, reason = "ended", CloseReason.BOT_ENDED  # by itself: `task.cancel()` in a handler
            self._tell(session, "bot-ended")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a bot raises is shown whole
            self._bot_failed(session, error)
        finally:
            await session.connection.close(reason, farewell=True)

    def _bot_failed(self, session: BotSession, error: BaseException) -> None:
        """Show it here, whole, and tell the caller what it was."""
        session.bot = "failed"
        told, traceback = f"{type(error).__name__}: {error}", user_traceback(error)
        self._tell(session, "bot-failed", error=told, traceback=traceback)
        if self._observer is ignore:
            logger.error("the bot of session %s failed\n%s", session.id, traceback)
        message = rtvi.error(_shortened(told), fatal=True)
        last = traceback.splitlines()[-_TRACEBACK_LINES:]
        message["data"]["traceback"] = "\n".join(map(_shortened, last))
        session.connection.send_app_message(message)

    async def statuses(self) -> list[SessionStatus]:
        """Every session's state and statistics, now."""
        found = []
        for session in self.sessions:
            report = await stats(session.connection) if session.connection.current_peer else {}
            seconds = time.monotonic() - session.started
            found.append(SessionStatus(session.id, str(session.connection.state), session.bot, seconds, report))
        return found

    # What the connection tells

    def _watch(self, session: BotSession) -> None:
        connected = False

        def on_connected(connection: SmallWebRTCConnection) -> None:
            nonlocal connected
            self._tell(session, "reconnected" if connected else "connected", **how_connected(connection))
            connected = True

        def on_closed(connection: SmallWebRTCConnection) -> None:
            diagnosis = connection.diagnosis()
            why = {"reason": str(connection.close_reason)}
            self._tell(session, "closed", **why, **({"diagnosis": str(diagnosis)} if diagnosis else {}))

        session.connection.add_event_handler("connected", on_connected)
        session.connection.add_event_handler("lost", lambda _: self._tell(session, "lost"))
        session.connection.add_event_handler("resumed", lambda _: self._tell(session, "resumed"))
        session.connection.add_event_handler(
            "path", lambda c, report: self._tell(session, "path", **carried(c, report))
        )
        session.connection.add_event_handler("stalled", lambda _, why: self._tell(session, "stalled", why=why))
        session.connection.add_event_handler("flowing", lambda _: self._tell(session, "flowing"))
        session.connection.add_event_handler("closed", on_closed)

    def _tell(self, session: BotSession, event: str, **detail: Any) -> None:
        self._observer(SessionEvent(event, session.id, detail))

    async def close(self) -> None:
        """End all conversations, then the bots that still run; bounded, but that a bot may refuse to be cancelled."""
        self._closed = True
        await self._handler.close()
        for task in self._sessions:
            task.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=BOT_TIMEOUT)
        for session in self._sessions.values():
            logger.warning("the bot of session %s does not end", session.id)


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


def how_connected(connection: SmallWebRTCConnection) -> dict[str, Any]:
    """How long the connection took, and over what it runs."""
    peer = connection.peer
    detail: dict[str, Any] = {}
    if peer.stages.connected is not None:
        detail["milliseconds"] = round((peer.stages.connected - peer.stages.started) * 1000, 1)
    pair = peer.agent.nominated_pair() if peer.agent else None
    if pair is not None:
        detail |= {"local": pair.local_candidate.type, "remote": pair.remote_candidate.type, "protocol": "udp"}
    return detail


def carried(connection: SmallWebRTCConnection, report: PathReport) -> dict[str, Any]:
    """What the path carries from here to the client, as far as that is known, and the chunk in use."""
    path = connection.peer.path
    detail = {"mtu": report.mtu, "limit": str(report.limit), "chunk": path.chunk if path else None}
    return detail | {"outcome": str(report.finding.outcome), "seconds": round(report.finding.seconds, 3)}
