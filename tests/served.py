"""`smallrtc` commands in processes of their own, for tests: started, listened to, and ended by their pid."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from calls import until

Event = dict[str, Any]

_LEFT_OUT = ("CI", "GITHUB_ACTIONS", "SMALLRTC_", "PIPECAT_")


def _collect(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line)  # noqa: PERF402 - each is wanted as soon as it is there


class Command:
    """The process, and all that it has told so far; lines are collected by threads, so that no pipe fills up."""

    def __init__(self, folder: Path, *arguments: str | Path, runner: Sequence[str] = (), **environment: str) -> None:
        """`runner` is a command that runs another one, such as on a host of a laboratory."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_LEFT_OUT)}
        root = str(Path(__file__).parents[1])
        self.process = subprocess.Popen(
            [*runner, sys.executable, "-m", "smallrtc_cli", *map(str, arguments)],
            cwd=folder,
            env=inherited | {"PYTHONPATH": root} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=_collect, args=(stream, lines), daemon=True)
            for lines, stream in ((self.out, self.process.stdout), (self.err, self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        return "".join(self.err)

    @property
    def events(self) -> list[Event]:
        """Of `--json-lines`; every line of stdout must be one."""
        assert not [line for line in self.out if not line.startswith("{")]
        return [json.loads(line) for line in self.out if line.endswith("\n")]

    def named(self, name: str, **detail: Any) -> list[Event]:
        """The events of a name with these details."""
        return [each for each in self.events if each["event"] == name and detail.items() <= each.items()]

    async def event(self, name: str, **detail: Any) -> Event:
        """The first such event, waited for."""
        await until(lambda: self.named(name, **detail) or self._must_run())
        return self.named(name, **detail)[0]

    async def error(self, words: str) -> str:
        """The first line of stderr that has these words, waited for."""
        await until(lambda: words in self.errors or self._must_run(), 20)
        return next(line for line in self.err if words in line)

    def _must_run(self) -> bool:
        assert self.process.poll() is None, f"it ended ({self.process.returncode}): {self.errors}"
        return False

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, timeout: float = 20.0) -> int:
        """Its exit code, when it and its output have ended."""
        await until(lambda: self.process.poll() is not None, timeout)
        for reader in self._readers:
            reader.join(5)
        return int(self.process.returncode)

    async def stopped(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Send it a signal: its exit code, and the seconds that it took to end."""
        began = time.monotonic()
        self.send(number)
        return await self.ended(), time.monotonic() - began

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Served(Command):
    """`smallrtc serve`."""

    def __init__(self, folder: Path, *arguments: str | Path, json_lines: bool = True, **environment: Any) -> None:
        at = arguments.index("--") if "--" in arguments else len(arguments)
        options = [] if "--port" in arguments[:at] else ["--port", "0"]
        options += ["--json-lines"] if json_lines else []
        super().__init__(folder, "serve", *arguments[:at], *options, *arguments[at:], **environment)

    async def url(self) -> str:
        """Where it listens, once it does."""
        await until(lambda: self.named("ready") or self._must_run(), 20)
        return str(self.named("ready")[0]["url"])

    async def printed_url(self) -> str:
        """The same, from the lines for people."""
        return (await self.error("  here ")).split()[1].partition("?")[0]


@contextlib.contextmanager
def served(folder: Path, *arguments: str | Path, json_lines: bool = True, **environment: Any) -> Iterator[Served]:
    """`smallrtc serve` in a folder, on a free port, until the end of the block; more as `Command` takes it."""
    process = Served(folder, *arguments, json_lines=json_lines, **environment)
    try:
        yield process
    finally:
        process.close()


@contextlib.contextmanager
def running(folder: Path, *arguments: str | Path, **environment: Any) -> Iterator[Command]:
    """A command, until the end of the block; more as `Command` takes it."""
    process = Command(folder, *arguments, **environment)
    try:
        yield process
    finally:
        process.close()
