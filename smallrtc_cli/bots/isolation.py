"""`--isolate`: each conversation in a process of its own, so that one bot's blocking code stutters no other call.

The parent only passes signalling on: it is an `Exchange`, as the `Supervisor` is, and takes the same observer and
rooms. Media flow between the client and the child. A spare child is kept ready, so that a session does not wait for
Python and the bot's imports; an offer that is refused leaves its child to the next.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine
from dataclasses import asdict, replace
from typing import Any

from smallrtc_cli.bots.child import ChildSetup, Message
from smallrtc_cli.bots.events import Observer, SessionEvent, SessionStatus, ignore
from smallrtc_cli.bots.loader import BotFailedToLoad
from smallrtc_cli.bots.process import ChildGone, ChildProcess
from smallrtc_cli.bots.spec import BotSpec
from smallrtc_cli.bots.supervisor import Rooms, no_room
from smallrtc_cli.errors import RequestError, ServerClosing, Unavailable, UnknownPeer
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import Answer, SmallWebRTCPatchRequest, SmallWebRTCRequest

REFILL_DELAY = 1.0
"Seconds after an answer until the next spare is started: its imports would slow down the call that is connecting."

STATUS_TIMEOUT = 0.5
"Seconds for a session's process to tell how it is; a view does not wait for a bot that blocks."


class IsolatedSessions:
    """Runs a child process for each conversation and routes requests to it by `pc_id`."""

    def __init__(
        self,
        setup: ChildSetup,
        *,
        rooms: Rooms | None = None,
        most: int | None = None,
        observer: Observer = ignore,
        spares: int = 1,
    ) -> None:
        """As `Supervisor`. What a bot prints is the event `said`; that of a spare has the process for its session."""
        self._setup, self._rooms, self._most, self._observer = setup, rooms, most, observer
        self._spare_count = spares
        self._children: set[ChildProcess] = set()
        self._spares: list[ChildProcess] = []
        self._sessions: dict[ChildProcess, str] = {}
        self._over: set[ChildProcess] = set()
        "Those whose conversation has ended while the bot finishes what it does."
        self._by_id: dict[str, ChildProcess] = {}
        self._beginning = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = asyncio.Event()

    @property
    def _closing(self) -> bool:
        return self._closed.is_set()

    @property
    def sessions(self) -> tuple[str, ...]:
        """The ids of the sessions whose bot runs."""
        return tuple(self._sessions.values())

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that run now, spares too."""
        return tuple(child.pid for child in self._children if child.pid is not None and child.ended is None)

    async def start(self) -> None:
        """Start the spare and wait until it has loaded the bot; raises `BotFailedToLoad`."""
        await self._refill()
        for child in tuple(self._spares):
            await child.ready()

    async def renew(self, spec: BotSpec) -> None:
        """New sessions get processes that load this version, whatever becomes of the file. Live ones stay."""
        self._setup = replace(self._setup, spec=spec)
        old, self._spares = self._spares, []
        for child in old:
            self._own(child.close())
        await self._refill()

    async def offer(self, request: SmallWebRTCRequest) -> Answer:
        """Have a child answer: the one of the `pc_id`, or a new one. Raises `RequestError`."""
        if self._closing:
            raise ServerClosing("the server is shutting down")
        child = self._by_id.get(request.pc_id) if request.pc_id else None
        if child is None:
            return await self._begin(replace(request, pc_id=None, restart_pc=False))
        answer: Answer = await child.call("offer", asdict(request))
        self._route(child, answer["pc_id"])
        return answer

    async def candidates(self, request: SmallWebRTCPatchRequest) -> None:
        """Hand candidates to the child of their `pc_id`; raises `UnknownPeer` where there is none any more."""
        child = self._by_id.get(request.pc_id)
        if child is None:
            raise UnknownPeer("there is no peer connection with this `pc_id`")
        await child.call("candidates", asdict(request))

    async def statuses(self) -> list[SessionStatus]:
        """Every session's state and statistics, as its process says; one that does not answer is left out."""
        asked = [asyncio.create_task(child.call("statuses", {})) for child in self._sessions]
        if not asked:
            return []
        done, late = await asyncio.wait(asked, timeout=STATUS_TIMEOUT)
        for task in late:
            task.cancel()
        told = [task.result() for task in asked if task in done and task.exception() is None]
        return [SessionStatus(**status) for answer in told for status in answer]

    async def close(self) -> None:
        """End all children, politely first: no process is left. At most 5 s."""
        self._closed.set()
        await asyncio.gather(*(child.close() for child in tuple(self._children)))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # A conversation

    async def _begin(self, request: SmallWebRTCRequest) -> Answer:
        if self._most is not None and len(self._sessions.keys() - self._over) + self._beginning >= self._most:
            raise no_room(self._most)
        self._beginning += 1
        try:
            child = await self._take()
        finally:
            self._beginning -= 1
        return await self._hand_over(child, replace(request, session_id=request.session_id or str(uuid.uuid4())))

    async def _hand_over(self, child: ChildProcess, request: SmallWebRTCRequest) -> Answer:
        self._sessions[child] = str(request.session_id)
        try:
            answer: Answer = await child.call("offer", asdict(request))
        except BaseException as error:
            del self._sessions[child]
            if isinstance(error, RequestError) and not isinstance(error, ChildGone):
                self._put_back(child)
            else:  # it is dead, or blocked, or a conversation that nobody wants any more may have begun
                self._own(child.close())
            raise
        if self._rooms is not None:
            self._rooms.entered(str(request.session_id))
        self._route(child, answer["pc_id"])
        self._own(self._until_the_end(child))
        self._own(self._refill(REFILL_DELAY))
        return answer

    async def _until_the_end(self, child: ChildProcess) -> None:
        await child.wait()
        session = self._sessions[child]
        if child not in self._over and not self._closing:
            error = f"the session's process has ended: {child.ended}"
            self._observer(SessionEvent("bot-failed", session, {"error": error, "traceback": ""}))
            self._observer(SessionEvent("closed", session, {"reason": str(CloseReason.BOT_FAILED)}))
        self._forget(child)
        self._over.discard(child)
        del self._sessions[child]
        if self._rooms is not None:
            self._rooms.left(session)

    def _happened(self, child: ChildProcess, message: Message) -> None:
        event = SessionEvent.from_dict(message)
        if event.event == "closed":
            self._over.add(child)
            self._forget(child)
        self._observer(event)

    def _said(self, child: ChildProcess, line: str) -> None:
        self._observer(SessionEvent("said", self._sessions.get(child, child.name), {"line": line}))

    def _route(self, child: ChildProcess, pc_id: str) -> None:
        """A restart gives a conversation another id: the old one is forgotten."""
        self._forget(child)
        if child not in self._over and child.ended is None:
            self._by_id[pc_id] = child

    def _forget(self, child: ChildProcess) -> None:
        for pc_id in [pc_id for pc_id, other in self._by_id.items() if other is child]:
            del self._by_id[pc_id]

    # Processes

    async def _take(self) -> ChildProcess:
        """A child that has loaded the bot and holds no conversation yet."""
        while self._spares:
            child = self._spares.pop(0)
            if child.ended is None:
                break
        else:
            child = await self._spawn()
        try:
            await child.ready()
        except BotFailedToLoad as error:
            raise Unavailable(str(error), hint="the server's terminal shows the traceback") from error
        if self._closing:
            raise ServerClosing("the server is shutting down")
        return child

    def _put_back(self, child: ChildProcess) -> None:
        if child.ended is None and not self._closing and len(self._spares) < self._spare_count:
            self._spares.append(child)
        else:
            self._own(child.close())

    async def _refill(self, delay: float = 0.0) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._closed.wait()
        while not self._closing and len(self._spares) < self._spare_count:
            child = await self._spawn()
            self._spares.append(child)

    async def _spawn(self) -> ChildProcess:
        child = ChildProcess(self._said, self._happened)
        self._children.add(child)
        try:
            await child.start(self._setup)
        except OSError as error:
            self._children.discard(child)
            raise Unavailable(f"a process for the session cannot be started: {error.strerror}") from error
        self._own(self._reap(child))
        if self._closing:
            await child.close()
        return child

    async def _reap(self, child: ChildProcess) -> None:
        await child.wait()
        self._children.discard(child)
        if child in self._spares:
            self._spares.remove(child)

    def _own(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
