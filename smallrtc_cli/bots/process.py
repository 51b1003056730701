"""The parent's end of a child process: starts it, asks it, passes on what it prints, ends it."""

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from smallrtc_cli import errors
from smallrtc_cli.bots.child import ChildSetup, Message
from smallrtc_cli.bots.loader import BotFailedToLoad
from smallrtc_cli.errors import RequestError, Unavailable

START_TIMEOUT = 60.0
"Seconds to load a bot: some import for long."

CALL_TIMEOUT = 20.0
"Seconds for an answer, which gathers candidates; a bot that blocks holds its own session's answers up."

MESSAGE = 4 * 1024 * 1024
"Bytes in a message of a child's; an answer has ten thousand."

PRINTED = 8 * 1024
"Bytes of a printed line that are passed on as one."

FAREWELL, TERMINATE, KILL = 2.5, 1.0, 1.0
"Seconds in which a child that was told to close, or sent a signal, is given to end."

_PROGRAM = "import sys; from smallrtc_cli.bots.child import main; sys.exit(main())"
"Not `-m`: that would make a second copy of the module, whose classes are others to pickle."

_numbers = itertools.count(1)


class ChildGone(Unavailable):
    """The process of the session has ended, or does not answer."""

    hint = "its output says why"


class ChildProcess:
    """A session's process, from its start to its end."""

    def __init__(
        self, on_line: Callable[["ChildProcess", str], object], on_event: Callable[["ChildProcess", Message], object]
    ) -> None:
        """`on_line` gets what it printed, `on_event` what happened to its session."""
        self.name = f"process {next(_numbers)}"
        self._on_line, self._on_event = on_line, on_event
        self._process: asyncio.subprocess.Process | None = None
        self._attending: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._call_numbers = itertools.count(1)
        self.ended: str | None = None
        "How the process ended; None before."

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def returncode(self) -> int | None:
        return self._process.returncode if self._process else None

    async def start(self, setup: ChildSetup) -> None:
        """Start the process; `ready` tells when it has loaded the bot. A Ctrl-C at the terminal does not reach it."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MESSAGE,
            start_new_session=True,
        )
        self._attending = asyncio.create_task(self._attend(self._process), name=self.name)
        self._write(setup.encode())

    async def ready(self) -> None:
        """Return when the bot is loaded; raises `BotFailedToLoad`, or `ChildGone`."""
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await asyncio.shield(self._ready)
        except TimeoutError:
            raise ChildGone(f"the bot was not loaded within {START_TIMEOUT:g} s") from None

    async def call(self, what: str, request: Message) -> Any:
        """Have the child do something; raises what it raised, as `RequestError`, or `ChildGone`."""
        number = next(self._call_numbers)
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        try:
            if self.ended is not None:
                raise ChildGone(f"the session's process has ended: {self.ended}")
            self._write(json.dumps({"n": number, "call": what, "request": request}).encode() + b"\n")
            async with asyncio.timeout(CALL_TIMEOUT):
                return await answer
        except TimeoutError:
            raise ChildGone(f"the session did not answer within {CALL_TIMEOUT:g} s: its bot blocks") from None
        finally:
            del self._calls[number]

    async def close(self) -> None:
        """End it: politely, so that its client is told; then with a signal; then for good. At most 5 s."""
        if self._process is None or self._attending is None:
            return
        self._write(b'{"call": "close"}\n')
        if not self._ready.done() and self.ended is None:  # it still imports, and has nobody to say farewell to
            self._process.terminate()
        for seconds, signal in ((FAREWELL, self._process.terminate), (TERMINATE, self._process.kill), (KILL, None)):
            await asyncio.wait({self._attending}, timeout=seconds)
            if self._attending.done():
                return
            if signal is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal()

    async def wait(self) -> None:
        """Return when the process has ended."""
        if self._attending is not None:
            await asyncio.wait({self._attending})

    def _write(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    async def _attend(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        printing = asyncio.create_task(self._pass_on(process.stderr))
        listening = asyncio.create_task(self._listen(process.stdout))
        code = await process.wait()
        await asyncio.wait({printing, listening}, timeout=0.5)  # a process that the bot has left may hold them open
        printing.cancel()
        listening.cancel()
        await asyncio.wait({printing, listening})
        self._end(f"signal {-code}" if code < 0 else f"exit code {code}")

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            self._told(json.loads(line))

    async def _pass_on(self, stderr: asyncio.StreamReader) -> None:
        async for line in printed_lines(stderr):
            self._on_line(self, line)

    def _told(self, message: Message) -> None:
        match message:
            case {"n": number, "result": result}:
                self._resolve(number, result)
            case {"n": number, "refused": refused}:
                self._resolve(number, refusal(refused))
            case {"ready": _}:
                self._ready.set_result(None)
            case {"failed": sentence, "hint": hint, "traceback": traceback}:
                self._ready.set_exception(BotFailedToLoad(sentence, traceback, hint=hint))
                self._ready.exception()  # whoever waits gets it; where nobody does, it is said when one starts
            case {"event": event}:
                self._on_event(self, event)

    def _resolve(self, number: int, outcome: Any) -> None:
        answer = self._calls.get(number)
        if answer is None or answer.done():
            return
        if isinstance(outcome, RequestError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _end(self, how: str) -> None:
        self.ended = how
        if not self._ready.done():
            self._ready.set_exception(ChildGone(f"the session's process ended before its bot was loaded: {how}"))
            self._ready.exception()
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(ChildGone(f"the session's process has ended: {how}"))


def refusal(refused: Message) -> RequestError:
    """The error that a child raised, of the same class where it is one of ours."""
    kind = getattr(errors, refused.get("kind", ""), RequestError)
    error: RequestError = kind(refused["sentence"], hint=refused["hint"])
    error.status = refused["status"]
    return error


async def printed_lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines without their ends, in pieces where they are very long; bytes that are no UTF-8 are replaced."""
    rest = b""
    while piece := await stream.read(PRINTED):
        *lines, rest = (rest + piece).split(b"\n")
        while len(rest) > PRINTED:
            lines, rest = [*lines, rest[:PRINTED]], rest[PRINTED:]
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")
