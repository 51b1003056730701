"""One conversation in a process of its own, started by `bots.process` for `bots.isolation`.

The whole session is here: peer connection, supervisor, bot. Offers and candidates come as JSON lines on stdin, answers
go out on stdout; what the bot prints goes to stderr. The process ends when its one conversation has ended and the
bot is done, when it is told to close, and when its parent is gone.
"""

import asyncio
import base64
import gc
import json
import os
import pickle
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from smallrtc_cli.bots.arguments import CliArguments, SmallWebRTCRunnerArguments
from smallrtc_cli.bots.events import SessionEvent
from smallrtc_cli.bots.loader import BotFailedToLoad, LoadedBot, load
from smallrtc_cli.bots.recorder import record_new
from smallrtc_cli.bots.spec import BotSpec
from smallrtc_cli.bots.supervisor import Supervisor
from smallrtc_cli.console import logging_setup
from smallrtc_cli.errors import RequestError, SmallRTCError
from smallrtc_cli.protocol.signalling import IceCandidate, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler

ORPHAN_TIMEOUT = 5.0
"Seconds in which a child whose parent is gone ends by itself; a bot that blocks is ended then all the same."

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChildSetup:
    """What a child needs to know; pickled, from process to process of one program."""

    spec: BotSpec
    argv: tuple[str, ...] = ()
    "What was typed after `--`."

    runner: dict[str, Any] = field(default_factory=dict)
    "Options of the command that a bot may look at, as attributes of `cli_args`."

    handler: dict[str, Any] = field(default_factory=dict)
    "Arguments of `SmallWebRTCRequestHandler`."

    record: Path | None = None
    "Where recordings are kept."

    verbosity: int = 0

    def encode(self) -> bytes:
        """As a line."""
        return base64.b64encode(pickle.dumps(self)) + b"\n"

    @staticmethod
    def decode(line: bytes) -> "ChildSetup":
        setup = pickle.loads(base64.b64decode(line))  # noqa: S301 - from our own parent, over its pipe
        if not isinstance(setup, ChildSetup):
            raise TypeError(f"a {type(setup).__name__} is no set-up")
        return setup


class Wire:
    """JSON lines to and from the parent, on what were stdin and stdout; the bot's own go elsewhere from here on."""

    def __init__(self) -> None:
        self._from_parent: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._to_parent: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=0)
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    def setup(self) -> ChildSetup:
        """The first line."""
        return ChildSetup.decode(self._from_parent.readline())

    def send(self, **message: Any) -> None:
        """Tell the parent, if there still is one."""
        try:
            self._to_parent.write(json.dumps(message).encode() + b"\n")
        except OSError:
            return  # it is gone: the reading thread sees that too, and ends this process

    def follow(self, queue: "asyncio.Queue[Message]") -> None:
        """Put what the parent says into a queue, from a thread of its own that outlasts a loop that is blocked."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop, queue), name="parent", daemon=True).start()

    def _read(self, loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[Message]") -> None:
        for line in self._from_parent:
            loop.call_soon_threadsafe(queue.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(queue.put_nowait, {"call": "close"})
        time.sleep(ORPHAN_TIMEOUT)
        os._exit(1)


class ChildSession:
    """Answers the parent's requests and runs the bot, once."""

    def __init__(self, bot: LoadedBot, setup: ChildSetup, wire: Wire) -> None:
        self._bot, self._wire, self._record = bot, wire, setup.record
        handler = SmallWebRTCRequestHandler(**setup.handler)
        self._supervisor = Supervisor(lambda: self._run_bot, handler, most=1, observer=self._tell)
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the bot is done, or the parent says that it is enough."""
        messages: asyncio.Queue[Message] = asyncio.Queue()
        self._wire.follow(messages)
        reading = asyncio.create_task(self._serve(messages))
        await self._done.wait()
        reading.cancel()
        await self._supervisor.close()

    async def _serve(self, messages: "asyncio.Queue[Message]") -> None:
        while (message := await messages.get())["call"] != "close":
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._done.set()

    async def _answer(self, message: Message) -> None:
        number = message["n"]
        try:
            self._wire.send(n=number, result=await self._perform(message["call"], message["request"]))
        except RequestError as error:
            refused = {"kind": type(error).__name__, "status": error.status, "hint": error.hint}
            self._wire.send(n=number, refused={"sentence": str(error), **refused})
        except SmallRTCError as error:
            self._wire.send(n=number, refused={"sentence": str(error), "status": 503, "hint": error.hint})

    async def _perform(self, call: str, request: Message) -> Any:
        if call == "offer":
            return await self._supervisor.offer(SmallWebRTCRequest(**request))
        if call == "statuses":
            return [asdict(status) for status in await self._supervisor.statuses()]
        candidates = tuple(IceCandidate(**each) for each in request["candidates"])
        return await self._supervisor.candidates(SmallWebRTCPatchRequest(request["pc_id"], candidates))

    def _tell(self, event: SessionEvent) -> None:
        record_new(self._record, self._supervisor.sessions, event)
        self._wire.send(event=event.to_dict())

    async def _run_bot(self, arguments: SmallWebRTCRunnerArguments) -> None:
        try:
            await self._bot(arguments)
        finally:
            self._done.set()


def main() -> int:
    """Load, tell the parent how that went, and serve."""
    wire = Wire()
    setup = wire.setup()
    logging_setup(setup.verbosity)
    try:
        bot = load(setup.spec, CliArguments(setup.argv, **setup.runner))
    except SmallRTCError as error:
        traceback = error.traceback if isinstance(error, BotFailedToLoad) else ""
        wire.send(failed=str(error), hint=error.hint, traceback=traceback)
        return int(error.exit_code)
    gc.freeze()  # all that has been loaded stays; to look through it would stop the sound for 14 ms
    wire.send(ready=bot.name)
    asyncio.run(ChildSession(bot, setup, wire).run())
    return 0
